"""Checks of analyzers."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

import attrs

from softdiv.analysis.shape import misshapen
from softdiv.plugin.records import Example, Finding, Section, TokenDivergence
from softdiv.storage.atomic import to_json
from softdiv.storage.plain import to_plain
from softdiv.storage.records import as_read_back
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import HOSTILE, Kit, Subject, checks_in, require

_WORDS = ("The", " captain", " Rowe", " found", " it", " in", " March", ".")


def findings(count: int = 12) -> list[Finding]:
    """Ordinary findings of one prompt: two categories, answers of different lengths."""
    return [_finding(number, list(_WORDS[: 3 + number % 5])) for number in range(count)]


def section_of(component: Any, given: Sequence[Finding]) -> Section:
    """One Section; anything else is refused."""
    found = component(given)
    require(isinstance(found, Section), f"it returns {type(found).__name__}, not a softdiv.Section")
    section: Section = found
    return section


def check_well_formed_section(subject: Subject) -> None:
    """A title, a sentence, rows as wide as their table, curves as long as their axis."""
    section = section_of(subject.make(), findings())
    require(section.title.strip() and section.summary.strip(), "its title or its summary is empty")
    wrong = misshapen(section)
    require(not wrong, wrong)


def check_json(subject: Subject) -> None:
    """The section can be written as JSON and read back: plain values in their shapes; NaN only
    where a curve has no point."""
    section = section_of(subject.make(), findings())
    try:
        as_read_back(Section, section)
    except (TypeError, ValueError) as error:
        require(False, f"a run could not read its section back: {error}")
    drawn = [
        attrs.evolve(
            curve,
            series={name: [v for v in values if v == v] for name, values in curve.series.items()},
        )
        for curve in section.curves
    ]
    try:
        to_json(attrs.evolve(section, curves=drawn))
    except (TypeError, ValueError) as error:
        require(False, f"its section cannot be written to report.json: {error}")


def check_no_findings(subject: Subject) -> None:
    """Nothing found is an answer too: a section that says so."""
    section_of(subject.make(), [])


def check_one_finding(subject: Subject) -> None:
    """One finding, whose answers are both empty."""
    section_of(subject.make(), [attrs.evolve(_finding(0, []), response_1="", response_2="")])


def check_hostile_text_is_passed_on(subject: Subject) -> None:
    """Markup and control characters stay the text they are: escaping is the report's business."""
    given = [_finding(number, [text]) for number, text in enumerate(HOSTILE)]
    written = json.dumps(to_plain(section_of(subject.make(), given)))
    escaped = sorted({html.escape(text) for text in HOSTILE} - set(HOSTILE))
    found = [text for text in escaped if json.dumps(text)[1:-1] in written]
    require(not found, f"it escapes text, which the report will do again: {found[:1]}")


def _finding(number: int, words: Sequence[str]) -> Finding:
    tokens = [
        TokenDivergence(
            token=word,
            bits=0.1 * (place % 7),
            log_prob_1=-2.0 - place,
            log_prob_2=-0.5 * place,
            preferred_1="A" if place % 2 else word,
            preferred_2=word,
        )
        for place, word in enumerate(words)
    ]
    answer = "".join(words)
    return Finding(
        prompt="Tell me of the sea.",
        example=Example(
            id=f"t{number}",
            text=f"Who was number {number}? {answer}",
            category="odd" if number % 2 else "even",
        ),
        response_1=f"A sailor, number {number}.",
        response_2=answer,
        divergence_bits=0.05 * (number + 1),
        log_likelihood_ratio=2.5 * number - 3.0,
        tokens_1=tokens[: max(len(tokens) - 1, 0)],
        tokens_2=tokens,
    )


KIT = Kit(
    kind="analyzers",
    inputs=findings,
    call=section_of,
    checks=(*EVERY_KIND, *checks_in(globals())),
)
