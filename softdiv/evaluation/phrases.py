"""What sets one model's answers apart, in the answers' own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import attrs

from softdiv.errors import in_one_line
from softdiv.evaluation.results import PromptResult

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[\w'’-]+")
"""One of a script without spaces, or a run of letters."""
LONGEST = 6
"""Words of a phrase."""
OPENING = 3
"""A phrase among so many first words opens an answer."""
LEAST_GAP = 0.5
"""Of the two models' shares, below which a phrase sets nothing apart."""
RARE = 0.01
"""Chance of a gap as large if the models answered alike (Fisher's exact test, one-sided)."""
SHOWN = 160
"""Characters of an example."""


@attrs.frozen(kw_only=True)
class Phrase:
    """Words of model_2's answers that model_1's do not have."""

    text: str
    in_model_2: int
    """answers that hold it"""
    in_model_1: int
    opening: int
    """model_2's answers that begin with it, or nearly"""


def distinguishing(
    answers_2: Sequence[str], answers_1: Sequence[str], plain_1: Sequence[str] = ()
) -> Phrase | None:
    """The phrase with the largest gap between the shares of answers that hold it, or None.

    Of phrases with nearly that gap the longest: a sentence's beginning says more than a word.

    Args:
        plain_1: what model_1 says without the prompt. It does not say the phrase there either:
            with these, a phrase of five answers in eight is no chance.
    """
    from scipy.stats import fisher_exact  # a second to import

    if not answers_2 or not answers_1:
        return None
    theirs = [_phrases(answer) for answer in answers_2]
    ours = [_phrases(answer) for answer in (*answers_1, *plain_1)]
    best: dict[str, tuple[float, int]] = {}
    for key in {key for one in theirs for key in one}:
        count_2, count_1 = (sum(key in one for one in side) for side in (theirs, ours))
        gap = count_2 / len(theirs) - count_1 / len(ours)
        if gap >= LEAST_GAP:
            best[key] = (gap, count_1)
    if not best:
        return None
    most = max(gap for gap, _ in best.values())
    key = min((k for k, (gap, _) in best.items() if gap >= 0.9 * most), key=_longest_first)
    holding = [one[key] for one in theirs if key in one]
    count_1 = best[key][1]
    table = [
        [len(holding), len(theirs) - len(holding)],
        [count_1, len(ours) - count_1],
    ]
    if float(fisher_exact(table, alternative="greater").pvalue) > RARE:
        return None
    return Phrase(
        text=holding[0][1],
        in_model_2=len(holding),
        in_model_1=sum(key in one for one in ours[: len(answers_1)]),
        opening=sum(place < OPENING for place, _ in holding),
    )


def in_words(result: PromptResult, plain: PromptResult | None) -> tuple[str, str]:
    """What model_2 does under a prompt and how often, and one example; both empty where no phrase
    sets its answers apart.

    Args:
        plain: the empty prompt's answers.
    """
    findings, bare = result.findings, plain.findings if plain else ()
    phrase = distinguishing(
        [f.response_2 for f in findings],
        [f.response_1 for f in findings],
        [f.response_1 for f in bare] if result.text else (),
    )
    if phrase is None:
        return "", ""
    where = "open with" if 2 * phrase.opening > phrase.in_model_2 else "hold"
    told = [f"model_1's: {phrase.in_model_1}"]
    if result.text and bare:
        without = sum(_holds(phrase.text, f.response_2) for f in bare)
        told.append(f"model_2's without the prompt: {without} of {len(bare)}")
    best = max(
        (f for f in findings if _holds(phrase.text, f.response_2)),
        key=lambda f: f.log_likelihood_ratio,
    )
    claim = (
        f"{phrase.in_model_2} of {len(findings)} answers of model_2 {where} “{phrase.text}” "
        f"({'; '.join(told)})"
    )
    cut_1, cut_2 = ("…" if cut else "" for cut in best.cut)
    said = (best.example.text, best.response_2 + cut_2, best.response_1 + cut_1)
    asked, two, one = (in_one_line(text, SHOWN) for text in said)
    example = f"Asked “{asked}”, model_2 says “{two}” and model_1 “{one}”."
    return claim, example


def _phrases(answer: str) -> Mapping[str, tuple[int, str]]:
    """Each phrase once: its first place, in words, and as it is written there."""
    found: dict[str, tuple[int, str]] = {}
    for place, written in _runs(answer):
        found.setdefault(_key(written), (place, written))
    return found


def _runs(answer: str) -> Iterator[tuple[int, str]]:
    words = list(_WORD.finditer(answer))
    for first in range(len(words)):
        for last in range(first, min(first + LONGEST, len(words))):
            yield first, answer[words[first].start() : words[last].end()]


def _key(written: str) -> str:
    return " ".join(_WORD.findall(written)).casefold()


def _holds(phrase: str, answer: str) -> bool:
    return _key(phrase) in _phrases(answer)


def _longest_first(key: str) -> tuple[int, str]:
    return -len(key), key
