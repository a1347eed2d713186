"""Searcher ``cache_lens``: words at which the two models compute most differently.

As ``weight_lens``, for models whose weights cannot be compared: rounded in different ways, of
different shapes, or in other processes. Both models run over the vocabulary, and what they keep
of each word, its keys and values, is compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from attrs.validators import ge
from torch import Tensor

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.searching import (
    LOOK_SHARE,
    WordSearcher,
    around,
    vocabulary_words,
    word_differences,
)


@attrs.frozen(kw_only=True)
class CacheLens(WordSearcher):
    """Needs no weights: two positions a word, of both models."""

    vocabulary: int = attrs.field(default=32_768, validator=ge(1))
    """Words looked at, the vocabulary's first."""
    kinds: int = attrs.field(default=5, validator=ge(1))
    """Of the layers' keys and values, those that differ most at a word make its score."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first."""
        pair, (before, _) = task.pair, around(task)
        cached = pair.model_1.keeps_cache and pair.model_2.keeps_cache
        each = 2 if cached else 2 * (len(before) + 1)
        affordable = int(budget.remaining * LOOK_SHARE) // each
        words = vocabulary_words(task)[: min(self.vocabulary, affordable)]
        if not words:
            task.explain(f"the budget pays for no word, at {each} FTE each, or there are none")
            return
        moved = word_differences(pair, before, [i for i, _ in words])
        if not moved.any():
            task.explain("the models compute the same at every word")
            return
        best = self._scores(moved).topk(min(self.words, len(words))).indices.tolist()
        suspects = {words[place][1]: (words[place][0],) for place in best}
        yield from self.prompts_of(task, budget, suspects, "the models' states")

    def _scores(self, moved: Tensor) -> Tensor:
        """``[W]``: mean log of the distances, each against that of the median word."""
        usual = moved.median(dim=0).values
        ratios = (moved / usual)[:, usual > 0].log()
        if ratios.shape[1] == 0:  # they differ at few words only: take the distances as they are
            return moved.sum(dim=1)
        return ratios.topk(min(self.kinds, ratios.shape[1]), dim=1).values.mean(dim=1)
