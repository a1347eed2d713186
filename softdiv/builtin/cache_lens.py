"""Searcher ``cache_lens``: words at which the two models compute most differently.

As ``weight_lens``, for models whose weights cannot be compared: rounded in different ways, of
different shapes, or in other processes. Both models run over the vocabulary, and what they keep
of each word, its keys and values, is compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from attrs.validators import ge

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.searching import (
    LOOK_SHARE,
    WordSearcher,
    around,
    standing_out,
    suspectable,
    word_differences,
)


@attrs.frozen(kw_only=True)
class CacheLens(WordSearcher):
    """Needs no weights: two positions a word, of both models."""

    kinds: int = attrs.field(default=5, validator=ge(1))
    """Of the layers' keys and values, those that differ most at a word make its score."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first."""
        pair, (before, _) = task.pair, around(task)
        cached = pair.model_1.keeps_cache and pair.model_2.keeps_cache
        each = 2 if cached else 2 * (len(before) + 1)
        limit = int(budget.remaining * LOOK_SHARE) // each
        words = suspectable(task, self.vocabulary, limit)
        if not words:
            task.explain(f"the budget pays for no word, at {each} FTE each, or there are none")
            return
        moved = word_differences(pair, before, list(words.values()), task.limit)
        if not moved.any():
            task.explain("the models compute the same at every word")
            return
        suspects = standing_out(words, moved, self.kinds, self.words)
        yield from self.prompts_of(task, budget, suspects, "the models' states")
