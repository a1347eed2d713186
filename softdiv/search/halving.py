"""Successive halving: many prompts on few texts first, few prompts on more texts later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from softdiv.plugin.interfaces import Budget
from softdiv.plugin.records import HardPrompt
from softdiv.search.text_task import AnyTask


@attrs.frozen(kw_only=True)
class Round:
    """``texts`` fresh user texts of ``tokens`` response tokens each; ``keep`` prompts go on."""

    texts: int
    tokens: int
    keep: int


VALIDATION_TEXTS = 8
VALIDATION_TOKENS = 12
"""What the survivors are chosen by: so many validation texts, and tokens of each answer."""
ROUNDS = (Round(texts=2, tokens=6, keep=12), Round(texts=4, tokens=10, keep=5))


def in_turn(candidates: Sequence[HardPrompt]) -> list[HardPrompt]:
    """One of each searcher after another, each searcher's in its own order: where not all can be
    scored, no searcher is left out."""
    places: Counter[str] = Counter()
    ranked = []
    for candidate in candidates:
        ranked.append((places[candidate.searcher], candidate))
        places[candidate.searcher] += 1
    return [candidate for _, candidate in sorted(ranked, key=lambda one: one[0])]


def successive_halving(
    task: AnyTask,
    candidates: Sequence[HardPrompt],
    budget: Budget,
    rounds: Sequence[Round] = ROUNDS,
    *,
    ordered: bool = True,
) -> list[HardPrompt]:
    """The best prompts by D, best first, each with its latest score; by the likelihood ratio, and
    without a score in bits, where the models are compared by text.

    Every round uses new user texts, so that a prompt that was lucky once must be lucky again.
    Stops early, with what it has, when the budget is spent. A round in which nobody would go is
    left out, except for the last.

    Args:
        ordered: False leaves the last out too: only who stays is asked for.
    """
    current = list(candidates)
    for number, stage in enumerate(rounds, 1):
        if not current or budget.remaining == 0:
            break
        if len(current) <= stage.keep and not (ordered and number == len(rounds)):
            continue
        values = task.score([c.text for c in current], task.texts(stage.texts), stage.tokens)
        scored = [
            (
                attrs.evolve(
                    candidate,
                    score_bits=None if task.by_text else value,
                    cost_fte=budget.spent,
                ),
                value,
            )
            for candidate, value in zip(current, values, strict=True)
        ]
        scored.sort(key=lambda one: -one[1])
        current = [candidate for candidate, _ in scored[: stage.keep]]
    return current
