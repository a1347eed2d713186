"""Analyzer ``semantic_differences``: how far apart the answers are as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge

from softdiv import Finding, Section
from softdiv.analysis.embedding import Embed, Vectors, distances, each_alone, same_direction, tfidf
from softdiv.analysis.selection import by_prompt, shown
from softdiv.plugin.records import Table

TITLE = "Semantic differences"
Embedding = Literal["tfidf", "sentence-transformers"]
MEASURED_BY = {
    "tfidf": "words, weighted by how rare they are in model_1's answers",
    "sentence-transformers": "sentence embeddings",
}


def embedder(embedding: Embedding) -> Embed:
    """The function behind an ``embedding`` option."""
    if embedding == "tfidf":
        return tfidf
    from softdiv.builtin.embedding import embed

    return each_alone(embed)


def _installed(_: object, __: object, embedding: str) -> None:
    """Checked while the config is read. Raises ValueError saying what to install."""
    if embedding == "sentence-transformers":
        from softdiv.builtin.embedding import PACKAGED, located

        located(PACKAGED)


@attrs.frozen(kw_only=True)
class SemanticDifferences:
    """Distance between the two answers to each text, by prompt and for the widest pairs."""

    by_text: ClassVar[bool] = True
    embedding: Embedding = attrs.field(default="tfidf", validator=_installed)
    """tfidf needs no model; sentence-transformers (extra) compares meaning rather than words."""
    top: int = attrs.field(default=5, validator=ge(1))
    """Answer pairs shown."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """1 - cosine: 0 for answers alike, 1 for answers with nothing in common."""
        groups = by_prompt(findings)
        distinct = [finding for group in groups.values() for finding in group]
        if not distinct:
            return Section(title=TITLE, summary="No answer was compared.")
        first, second = embedder(self.embedding)(
            [f.response_1 for f in distinct], [f.response_2 for f in distinct]
        )
        apart = distances(first, second)
        rows = []
        for prompt, group in groups.items():
            at = np.array([finding.prompt == prompt for finding in distinct])
            alike = same_direction(first[at], second[at])
            rows.append((prompt, len(group), float(apart[at].mean()), alike, len(group) ** -0.5))
        best = groups[distinct[0].prompt]
        return Section(
            title=TITLE,
            summary=self._summary(rows),
            tables=(
                Table(
                    title="By prompt",
                    columns=("prompt", "texts", "mean distance", "same direction", "by chance"),
                    rows=[(shown(prompt), *rest) for prompt, *rest in rows],
                ),
                self._widest(best, apart[: len(best)]),
            ),
        )

    def _summary(self, rows: Sequence[tuple[str, int, float, float, float]]) -> str:
        best, plain = rows[0], next((row for row in rows if row[0] == ""), None)
        beside = f" (without a prompt {plain[3]:.2f})" if plain and best[0] else ""
        return (
            f"Under the best prompt the changes from model_1's answer to model_2's point the same "
            f"way by {best[3]:.2f}{beside}, from 0 to 1; changes that point anywhere would reach "
            f"about {best[4]:.2f}. Measured on {MEASURED_BY[self.embedding]}. The distance itself, "
            "0 alike to 1 nothing in common, is large between two samples of one model too."
        )

    def _widest(self, group: Sequence[Finding], values: Vectors) -> Table:
        order = np.argsort(-values, kind="stable")[: self.top]
        return Table(
            title=f"Furthest apart under “{shown(group[0].prompt)}”",
            columns=("user text", "distance", "model_1", "model_2"),
            rows=[
                (group[i].example.text, float(values[i]), group[i].response_1, group[i].response_2)
                for i in order
            ],
        )
