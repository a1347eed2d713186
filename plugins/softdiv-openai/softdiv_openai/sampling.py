"""Whether an endpoint draws its answers as the log-probabilities say that it gives with them.

Servers cut off unlikely tokens and penalise repeated ones by settings of their own, which OpenAI's
protocol has no words for. Answers so drawn are likelier, or stranger, than the model's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from softdiv.errors import PairError

PLAIN: tuple[dict[str, float], ...] = (
    {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "repetition_penalty": 1.0},
    {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    {},
)
"""How servers are told to draw from all tokens and to penalise none: llama.cpp and vLLM, older
vLLM, and those that take no such word."""
QUESTIONS = (
    "Name any word you like.",
    "Tell me about a place that few people know.",
    "Write the beginning of a story.",
    "What could one do on a rainy day?",
)
"""Asked at load; each once in every way, for some endpoints keep what they answered."""
LENGTH = 32
"""Tokens of each answer."""
CLOSE = 0.05
"""Nats by which a log-probability may move between two requests."""
EVEN = 1e-6
"""Nats within which two tokens are as likely: 16 bits make many so."""
TAIL = 0.05
"""Share of the likeliest token's probability below which a token is called unlikely."""
CHANCE = 1e-4
"""That an honest endpoint is refused by one of the counts below, at most."""


@attrs.frozen
class Drawn:
    """One token of an answer: its log-probability, and those of the likeliest, largest first."""

    own: float
    top: Sequence[float]


def check_numbers(drawn: Sequence[Drawn]) -> None:
    """Raises PairError for what are no natural logarithms of probabilities."""
    for one in drawn:
        if not one.top or not all(-math.inf < log <= 1e-3 for log in (one.own, *one.top)):
            raise _none(f"a token has {one.own}, the likeliest {list(one.top)[:3]}")
        total = math.fsum(math.exp(log) for log in one.top)
        if total > 1.01:
            raise _none(f"the likeliest {len(one.top)} tokens have {total:.3g} together")


def check_greedy(drawn: Sequence[Drawn]) -> None:
    """Raises PairError where, at temperature 0, something likelier was passed over."""
    for number, one in enumerate(drawn, 1):
        if one.own < one.top[0] - CLOSE:
            raise _other(
                f"asked for its likeliest tokens, it drew one of {one.own:.3g} nats at place "
                f"{number} where another had {one.top[0]:.3g}"
            )


def check_sampled(drawn: Sequence[Drawn]) -> None:
    """Raises PairError where, at temperature 1, tokens came other than as often as was said."""
    if not drawn:
        return
    most = max(len(one.top) for one in drawn)
    levels = {
        "not the likeliest": [one.top[0] - EVEN for one in drawn],
        "unlikely": [one.top[0] + math.log(TAIL) for one in drawn],
        f"not among the likeliest {most - 1}": [-math.inf for _ in drawn],
    }
    counts = {
        what: [_below(one, level) for one, level in zip(drawn, of, strict=True)]
        for what, of in levels.items()
    }
    for what, of in counts.items():
        seen, expected = sum(hit for hit, _ in of), math.fsum(max(p, 0.0) for _, p in of)
        if chance(seen, expected, len(of)) < CHANCE:
            raise _other(
                f"of {len(of)} tokens {seen} were {what}, where about {expected:.0f} would be"
            )


def chance(seen: int, expected: float, number: int) -> float:
    """Hoeffding's bound on how probable it is to see so many, or so few."""
    share, mean = seen / number, min(max(expected / number, 1e-12), 1 - 1e-12)
    off = sum(a * math.log(a / b) for a, b in ((share, mean), (1 - share, 1 - mean)) if a > 0)
    return 2 * math.exp(-number * max(off, 0.0))


def _below(one: Drawn, level: float) -> tuple[bool, float]:
    """Whether it is below that, and the probability of being so.

    What is as likely as the last of the likeliest is below: others may be, that are not shown.
    """
    above = [log for log in one.top if log >= level and log > one.top[-1] + EVEN]
    hit = not above or one.own < above[-1] - EVEN
    return hit, 1 - math.fsum(map(math.exp, above))


def _none(why: str) -> PairError:
    return PairError("the endpoint's log-probabilities are none, or not natural ones", why=why)


def _other(why: str) -> PairError:
    return PairError(
        "the endpoint does not draw its answers as its log-probabilities say",
        why=why,
        fix="turn its penalties and cut-offs (top_k, min_p, ...) off, at the server or in "
        "extra_body",
    )
