"""A softdiv plugin: analyzer ``umap``, a 2-D map of how the models' answers lie to each other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import attrs
from attrs.validators import ge

from softdiv import Analyzer, Curve, Finding, Register, Section, Table, hookimpl

SOFTDIV_API_VERSION = 1

FEWEST = 5
"""Findings below which a map would show nothing but its own layout."""


@attrs.frozen(kw_only=True)
class UmapAnalyzer:
    """Each pair of answers is a point: model_2's representation minus model_1's.

    Points lie together where the models differ in the same way; a point at the origin of the
    representation is a pair of equal answers. The map is UMAP (McInnes, Healy & Melville 2018):
    neighbourhoods mean something, distances between groups and axes do not.
    """

    model: str | None = None
    """A sentence-transformers model (folder or hub id); None represents answers by TF-IDF."""
    neighbors: int = attrs.field(default=15, validator=ge(2))
    """Points regarded as neighbours; at most one less than there are findings."""
    min_dist: float = attrs.field(default=0.1, validator=ge(0.0))
    """How tightly neighbours may be drawn together."""
    seed: int = attrs.field(default=0, validator=ge(0))
    """Of the layout: the same findings and seed give the same map."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """A table with one row per finding, and the map as data."""
        title = "Map of the differences"
        if len(findings) < FEWEST:
            return Section(
                title=title,
                summary=f"Too few findings for a map: {len(findings)}, at least {FEWEST} needed.",
            )
        if all(f.response_1 == f.response_2 for f in findings):
            return Section(title=title, summary="All answers are equal: there is nothing to map.")
        points = self._layout(self._differences(findings))
        rows = [
            (f.example.category, f.example.text, float(x), float(y), f.divergence_bits)
            for f, (x, y) in zip(findings, points, strict=True)
        ]
        order = sorted(range(len(rows)), key=lambda n: rows[n][2])
        what = self.model or "TF-IDF"
        return Section(
            title=title,
            summary=f"{len(findings)} pairs of answers laid out by how they differ ({what}).",
            tables=(Table(columns=("category", "user text", "x", "y", "bits"), rows=rows),),
            curves=(
                Curve(
                    title="Map of the differences, from left to right",
                    x_label="x",
                    y_label="y",
                    x=[rows[n][2] for n in order],
                    series={"y": [rows[n][3] for n in order]},
                ),
            ),
        )

    def _differences(self, findings: Sequence[Finding]) -> Any:
        """``[n, d]`` model_2's representation minus model_1's."""
        count = len(findings)
        answers = [f.response_1 for f in findings] + [f.response_2 for f in findings]
        if self.model is None:
            from sklearn.feature_extraction.text import TfidfVectorizer

            # characters rather than words: any script, and no text without features
            vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)).fit_transform(
                [answer or " " for answer in answers]
            )
            return (vectors[count:] - vectors[:count]).toarray()
        from softdiv import embed  # opens no pickle and runs no code

        vectors = embed(answers, self.model)
        return vectors[count:] - vectors[:count]

    def _layout(self, differences: Any) -> Any:
        """``[n, 2]``."""
        with warnings.catch_warnings():
            # umap asks for tensorflow, and says that a seed means one thread
            warnings.simplefilter("ignore")
            import umap

            return umap.UMAP(
                n_components=2,
                n_neighbors=min(self.neighbors, len(differences) - 1),
                min_dist=self.min_dist,
                init="random",  # the spectral start fails on few or equal points
                random_state=self.seed,
                n_jobs=1,
            ).fit_transform(differences)


@hookimpl
def softdiv_register_analyzers(register: Register[Analyzer]) -> None:
    """Register the analyzer."""
    register("umap", UmapAnalyzer)
