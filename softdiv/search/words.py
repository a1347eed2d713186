"""Phrases that one set of texts uses and another does not, and short prompts around them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from softdiv.plugin.records import HardPrompt
from softdiv.search.text_task import AnyTask

_WORD = r"[^\W\d_](?:[^\W\d_]|['’-])*"
_RUN = re.compile(rf"{_WORD}(?: {_WORD})*")
"""Words with nothing but a space between them."""
_SHORTEST = 3
"""Characters of the words that a phrase begins and ends with."""

TEMPLATES = ("Tell me about {}.", "I like {}.")
"""Short prompts built around a word; ``{}`` is the word."""


@attrs.define
class _Seen:
    """Where a phrase stands, whatever its case, and how it is written there."""

    answers: set[int] = attrs.field(factory=set)
    forms: Counter[str] = attrs.field(factory=Counter)


def over_represented(
    answers: Sequence[str], plain: Sequence[str], count: int, longest: int = 1
) -> list[str]:
    """The ``count`` phrases most over-represented in ``answers``, by number of answers they are in.

    Log odds with a prior of one half (Monroe et al. 2008, without the informative prior),
    weighted by how many answers show the phrase, so that one odd answer does not win.

    Args:
        answers: best first, where some are better: of phrases that score alike, the earliest wins.
        longest: words of a phrase. A phrase that stands in the same answers as a better one
            that holds it, or that it holds, is left out; of two equals the longer one is kept.
    """
    if not answers:
        return []
    seen = _phrases_of(answers, longest)
    usual = {phrase: len(found.answers) for phrase, found in _phrases_of(plain, longest).items()}
    scores = {}
    for phrase, found in seen.items():
        times, base = len(found.answers), usual.get(phrase, 0)
        odds = math.log((times + 0.5) / (len(answers) - times + 0.5))
        base_odds = math.log((base + 0.5) / (len(plain) - base + 0.5))
        scores[phrase] = (odds - base_odds) * math.sqrt(times)
    kept: list[str] = []
    for phrase in sorted(
        scores, key=lambda p: (-scores[p], min(seen[p].answers), -p.count(" "), p)
    ):
        if len(kept) == count or scores[phrase] <= 0:
            break
        if not any(
            seen[phrase].answers == seen[other].answers and _one_in_the_other(phrase, other)
            for other in kept
        ):
            kept.append(phrase)
    return [seen[phrase].forms.most_common(1)[0][0] for phrase in kept]


def phrase_prompts(
    task: AnyTask, phrases: Sequence[str], source: str, templates: Sequence[str] = TEMPLATES
) -> Iterator[HardPrompt]:
    """The phrases, best first, in each template in turn: who stops early has tried most phrases."""
    for template in templates:
        for phrase in phrases:
            text = template.format(phrase)
            if task.usable(text):
                yield HardPrompt(text=text, searcher="", note=f"'{phrase}' from {source}")


def _phrases_of(texts: Sequence[str], longest: int) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    for number, text in enumerate(texts):
        for phrase in _phrases(text, longest):
            seen = found.setdefault(phrase.lower(), _Seen())
            seen.answers.add(number)
            seen.forms[phrase] += 1
    return found


def _phrases(text: str, longest: int) -> Iterator[str]:
    for run in _RUN.findall(text):
        words = [word.rstrip("'’-") for word in run.split(" ")]
        for size in range(1, longest + 1):
            for start in range(len(words) - size + 1):
                part = words[start : start + size]
                repeats = len({word.lower() for word in part}) < size  # texts that go in circles
                if min(len(part[0]), len(part[-1])) >= _SHORTEST and not repeats:
                    yield " ".join(part)


def _one_in_the_other(one: str, other: str) -> bool:
    return f" {one} " in f" {other} " or f" {other} " in f" {one} "
