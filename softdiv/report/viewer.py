"""All answers of an evaluation as a page: by prompt, filtered by words, word for word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.plugin.records import Finding
from softdiv.report.conversation import CUT, turns
from softdiv.report.html import environment

PER_PAGE = 20
COMPARED = 4000
"""Characters of an answer that are shown."""
_WORD = re.compile(r"\s*(?:\w+|[^\w\s]|$)")
"""With the space before it; anything else is a word of one character."""

Pieces = list[tuple[str, bool]]
"""(text, whether the other answer does not have it there); joined, the whole text"""


def to_view(name: str, evaluation: Evaluation, place: Any, query: Mapping[str, str]) -> str:
    """One page, without script.

    Args:
        place: where prompts sit in the chat.
        query: ``prompt`` (place of a prompt or baseline, found ones first), ``words`` (that the
            text or an answer holds, whatever their case), ``differ`` (answers that do), ``page``
            (from 1). What means nothing is left out.
    """
    results = (*evaluation.prompts, *evaluation.baselines)
    found = list(_found(results, query))
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(max(1, _whole(query.get("page")) or 1), pages)
    kept = {key: value for key, value in query.items() if key in ("prompt", "words", "differ")}
    template = environment().get_template("view.html.j2")
    return template.render(
        name=name,
        results=results,
        query=query,
        chosen=_whole(query.get("prompt")),
        count=len(found),
        page=page,
        pages=pages,
        links={n: "?" + urlencode({**kept, "page": n}) for n in (page - 1, page + 1)},
        answers=[_sides(*one, place) for one in found[(page - 1) * PER_PAGE : page * PER_PAGE]],
    )


def _found(
    results: tuple[PromptResult, ...], query: Mapping[str, str]
) -> Iterator[tuple[PromptResult, Finding]]:
    chosen, words = _whole(query.get("prompt")), query.get("words", "").casefold()
    for number, result in enumerate(results):
        if chosen is not None and chosen != number:
            continue
        for finding in result.findings:
            texts = (finding.example.text, finding.response_1, finding.response_2)
            if query.get("differ") and finding.response_1 == finding.response_2:
                continue
            if any(words in text.casefold() for text in texts):
                yield result, finding


def _sides(result: PromptResult, finding: Finding, place: Any) -> dict[str, Any]:
    said = (finding.response_1, finding.response_2)
    cut = [CUT if finding.cut[n] or len(said[n]) > COMPARED else "" for n in (0, 1)]
    parts = word_diff(*(answer[:COMPARED] for answer in said))
    return {
        "result": result,
        "finding": finding,
        "turns": turns(finding, place),
        "sides": list(zip(("model_1", "model_2"), parts, cut, strict=True)),
    }


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def word_diff(one: str, two: str) -> tuple[Pieces, Pieces]:
    """Both texts in parts, as few as there are."""
    words_1, words_2 = _WORD.findall(one), _WORD.findall(two)
    first: Pieces = []
    second: Pieces = []
    matcher = difflib.SequenceMatcher(None, words_1, words_2, autojunk=False)
    for kind, start_1, end_1, start_2, end_2 in matcher.get_opcodes():
        for parts, words in ((first, words_1[start_1:end_1]), (second, words_2[start_2:end_2])):
            if text := "".join(words):
                parts.append((text, kind != "equal"))
    return first, second
