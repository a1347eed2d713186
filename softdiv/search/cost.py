"""What a step of a search will cost, in forward-token equivalents, before it is taken."""

from __future__ import annotations

from collections.abc import Sequence

from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.plugin.interfaces import Budget
from softdiv.search.halving import ROUNDS, VALIDATION_TEXTS, VALIDATION_TOKENS
from softdiv.search.text_task import AnyTask, TextTask

PROMPT_TOKENS = 16
"""Tokens a prompt may add to a row."""


def answers_cost(
    pair: ModelPair, slots: Sequence[Context], width: int, tokens: int, prompts: int = 1
) -> int:
    """Of both models' rows of ``tokens`` answer tokens, at most; the shared header comes extra.

    Args:
        slots: conversations; each prompt is put into all of them.
        width: tokens of a prompt.
    """
    header = header_cost(slots) // 2
    longest = max(map(len, slots)) + width + tokens - 1
    each = [
        longest - header if model.keeps_cache else tokens * longest
        for model in (pair.model_1, pair.model_2)
    ]
    return prompts * len(slots) * sum(each)


def gradient_cost(pair: ModelPair, slots: Sequence[Context], width: int, tokens: int) -> int:
    """Of D's gradient at one prompt's embeddings: a forward and a backward pass of both models."""
    header = header_cost(slots) // 2
    shared = sum(header * model.keeps_cache for model in (pair.model_1, pair.model_2))
    return 3 * len(slots) * (2 * (max(map(len, slots)) + width + tokens) - shared)


def header_cost(slots: Sequence[Context]) -> int:
    """Of what comes before every prompt, which a batch of both models may compute anew."""
    return 2 * min(len(slot.before) for slot in slots)


def usual_row(task: AnyTask) -> int:
    """Positions of a prompt beside an average user text, without the header that rows share."""
    if isinstance(task, TextTask):
        return PROMPT_TOKENS + task.usual_row()
    texts = task.train[:64]
    header = len(task.layout.soft(texts[0]).before)
    return PROMPT_TOKENS - header + sum(len(task.layout.hard(t)) for t in texts) // len(texts)


def selection_cost(row: int, prompts: int) -> int:
    """Of choosing among prompts: all rounds of the halving loop, then validation texts.

    Args:
        row: :func:`usual_row`.
    """
    total = 0
    for stage in ROUNDS:
        if prompts <= stage.keep:
            continue
        total += 2 * prompts * stage.texts * (row + stage.tokens)
        prompts = min(prompts, stage.keep)
    return total + 4 * prompts * VALIDATION_TEXTS * (row + VALIDATION_TOKENS)


def affordable(task: AnyTask, budget: Budget, pool: int) -> int:
    """How many of ``pool`` candidates can be chosen from within the budget, at least 1."""
    row = usual_row(task)
    counts = (n for n in range(pool, 0, -1) if selection_cost(row, n) <= budget.remaining)
    return next(counts, 1)
