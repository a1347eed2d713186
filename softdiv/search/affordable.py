"""How many candidates what is left of a budget can score."""

from __future__ import annotations

from softdiv.plugin.interfaces import Budget
from softdiv.search.generator import VALIDATION_TEXTS, VALIDATION_TOKENS
from softdiv.search.halving import ROUNDS
from softdiv.search.task import SearchTask

PROMPT_TOKENS = 16
"""Tokens a prompt may add to a row."""


def affordable(task: SearchTask, budget: Budget, pool: int) -> int:
    """How many of ``pool`` candidates can be scored and chosen from within the budget, at least 1.

    Counts all rounds of the halving loop and the choice on validation texts, each row as long
    as an average user text without the header that all rows share.
    """
    texts = task.train[:64]
    header = len(task.layout.soft(texts[0]).before)
    length = PROMPT_TOKENS - header + sum(len(task.layout.hard(t)) for t in texts) // len(texts)

    def cost(count: int) -> int:
        rows, total = count, 0
        for stage in ROUNDS:
            total += 2 * rows * stage.texts * (length + stage.tokens)
            rows = min(rows, stage.keep)
        return total + 4 * rows * VALIDATION_TEXTS * (length + VALIDATION_TOKENS)

    found = [count for count in range(1, pool + 1) if cost(count) <= budget.remaining]
    return found[-1] if found else 1
