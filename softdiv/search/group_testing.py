"""Which of many words make a model give certain answers: long lists of words first, then shorter.

A word that opens an answer opens it from a list of other words too, so that one row of the model
tests all the words of a list (Dorfman 1943); the best lists' words are shuffled into new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from softdiv.pair.layout import Context
from softdiv.pair.vocabulary import Word
from softdiv.plugin.interfaces import Budget
from softdiv.search.candidate_words import around
from softdiv.search.swaps import stream
from softdiv.search.task import SearchTask

Answer = tuple[int, ...]
SHORTEST = 4
"""Words of a list, before single words."""
WIDTH = 1.25
"""Tokens of a word, on average: a quarter of those looked at have two."""
KEEP = 8
"""Of the words of a round one in so many goes on, to lists of half the length."""


def group_tested(
    task: SearchTask,
    budget: Budget,
    words: Mapping[str, Word],
    answers: Sequence[Answer],
    longest: int,
    wanted: int,
) -> dict[str, Word]:
    """The ``wanted`` words under which model_2 is likeliest to give the answers, best first; of
    those tested so far where the budget ends.

    Args:
        longest: words of a list to begin with.
    """
    before, behind = around(task)
    current, size = list(words), longest
    while True:
        shuffled = torch.randperm(len(current), generator=stream(task, f"lists:{size}"))
        order = [current[place] for place in shuffled.tolist()]
        lists = [order[n : n + size] for n in range(0, len(order), size)]
        rows = [
            Context(before=(*before, *(i for word in part for i in words[word]), *behind))
            for part in lists
        ]
        scores = _list_scores(task, budget, rows, answers)
        ranked = sorted(zip(scores, lists, strict=False), key=lambda pair: -pair[0])
        current = [word for _, part in ranked for word in part]
        if size == 1 or budget.remaining == 0:
            return {word: words[word] for word in current[:wanted]}
        kept, size = _next_round(len(current), size, wanted)
        current = current[:kept]


def affordable_lists(
    task: SearchTask, limit: int, words: int, longest: int, wanted: int, answers: Sequence[Answer]
) -> tuple[int, int]:
    """How many words ``limit`` FTE can test, and the length of the lists to begin with: the
    shortest that all words can be put in, which tell most, else the longest."""
    size = SHORTEST
    while size < longest and _cost(task, words, size, wanted, answers) > limit:
        size = min(2 * size, longest)
    each = _cost(task, 1000 * longest, size, wanted, answers) - _cost(
        task, 0, size, wanted, answers
    )
    fixed = _cost(task, wanted, size, wanted, answers)
    if _cost(task, words, size, wanted, answers) <= limit:
        return words, size
    return max(0, int((limit - fixed) * 1000 * longest // each)), size


def _cost(task: SearchTask, words: int, size: int, wanted: int, answers: Sequence[Answer]) -> int:
    """FTE of :func:`group_tested`."""
    before, behind = around(task)
    extra = (
        len(behind) + max(map(len, answers)) + (0 if task.pair.model_2.keeps_cache else len(before))
    )
    total = 0
    while True:
        total += int(-(-words // size) * (size * WIDTH + extra) * len(answers))
        if size == 1:
            return total
        words, size = _next_round(words, size, wanted)


def _next_round(words: int, size: int, wanted: int) -> tuple[int, int]:
    """How many words go on, and to lists of how many."""
    kept = min(words, max(wanted, words // KEEP))
    return kept, (max(1, size // 2) if kept > wanted else 1)


def _list_scores(
    task: SearchTask, budget: Budget, rows: Sequence[Context], answers: Sequence[Answer]
) -> list[float]:
    """Mean over the answers of how likely each is behind each list, against the median list."""
    found: list[Tensor] = []
    size, sampler, model = task.config.batch_rows, task.sampler, task.pair.model_2
    for start in range(0, len(rows), size):
        if budget.remaining == 0:
            break
        part = rows[start : start + size]
        logs = [
            torch.stack(sampler.log_likelihoods(model, part, [answer] * len(part)))
            for answer in answers
        ]
        found.append(torch.stack([each.sum(dim=1) for each in logs], dim=1))
    if not found:
        return []
    logs_of = torch.cat(found)
    scores: list[float] = (logs_of - logs_of.median(dim=0).values).mean(dim=1).tolist()
    return scores
