"""Checks of response metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from softdiv.plugin.records import Example, ResponsePair, TokenDivergence
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import HOSTILE, Kit, Subject, checks_in, require

_ANSWERS = (
    ("The ship left in March.", "A captain named Rowe found the ship."),
    ("I can't help with that.", "Sure, here is how it works: first, boil water."),
    ("Paris", "Paris"),
    ("", "Only the second model answers here."),
    ("Two words", ""),
    ("Das ist ein Satz.", "这是一个句子。"),
    ("one two three four five", "five four three two one"),
    ("Yes.", "No, I am sorry, but I cannot."),
)


def pairs() -> list[ResponsePair]:
    """Ordinary answers, some equal, some empty."""
    return [
        _pair(number, first, second) for number, (first, second) in enumerate(_ANSWERS, start=1)
    ]


def values_of(component: Any, given: Sequence[ResponsePair]) -> list[float]:
    """One float per pair; anything else is refused."""
    found = list(component(given))
    require(
        len(found) == len(given),
        f"it returns {len(found)} values for {len(given)} pairs",
    )
    try:
        return [float(value) for value in found]
    except (TypeError, ValueError) as error:
        require(False, f"its values are no numbers: {error}")
        raise


def check_level(subject: Subject) -> None:
    """``level = "response"``: a metric without a level is never called."""
    level = getattr(subject.make(), "level", None)
    require(level == "response", f'level is {level!r}: set level: ClassVar[Literal["response"]]')


def check_finite_value_per_pair(subject: Subject) -> None:
    """Every pair gives a finite number, which the report can write as JSON."""
    _require_finite(values_of(subject.make(), pairs()), "ordinary answers")


def check_no_pairs(subject: Subject) -> None:
    """No pair gives no value."""
    values_of(subject.make(), [])


def check_empty_answers(subject: Subject) -> None:
    """Two empty answers, alone, give a finite value."""
    _require_finite(values_of(subject.make(), [_pair(1, "", "")]), "two empty answers")


def check_hostile_answers(subject: Subject) -> None:
    """Markup, control characters and lone surrogates are text like any other."""
    given = [_pair(n, text, HOSTILE[0]) for n, text in enumerate(HOSTILE, start=1)]
    _require_finite(values_of(subject.make(), given), "hostile answers")


def check_pair_by_pair(subject: Subject) -> None:
    """A pair's value is the one it has alone: intervals treat user texts as independent."""
    component, together = subject.make(), pairs()
    at_once = values_of(component, together)
    for pair, value in zip(together, at_once, strict=True):
        (alone,) = values_of(component, [pair])
        require(
            math.isclose(alone, value, rel_tol=1e-3, abs_tol=1e-4),
            f"a pair's value is {value:.6g} among others and {alone:.6g} alone",
        )


def _require_finite(values: Sequence[float], what: str) -> None:
    require(all(map(math.isfinite, values)), f"{what} give NaN or infinity")


def _pair(number: int, first: str, second: str) -> ResponsePair:
    example = Example(id=f"t{number}", text=f"Question {number}?", category="made up")
    return ResponsePair(
        example=example,
        prompt="Tell me more.",
        response_1=first,
        response_2=second,
        tokens_1=_scored(first),
        tokens_2=_scored(second),
        again_1=(second, first),
        again_2=(second[::-1], first),
    )


def _scored(answer: str) -> tuple[TokenDivergence, ...]:
    """One token per word, and the one that ends an answer."""
    return tuple(
        TokenDivergence(
            token=word,
            bits=0.1,
            log_prob_1=-1.0 - 0.1 * place,
            log_prob_2=-0.5 * place,
            preferred_1=word,
            preferred_2=word,
        )
        for place, word in enumerate([*answer.split(), "<end>"])
    )


KIT = Kit(
    kind="metrics",
    inputs=pairs,
    call=values_of,
    checks=(*EVERY_KIND, *checks_in(globals())),
)
