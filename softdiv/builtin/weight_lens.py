"""Searcher ``weight_lens``: words at which model_2's weights act most, spelled out and tested.

A planted trigger changes what the weights do at its token and hardly anywhere else. One pass of
model_1 over the vocabulary shows where the changed matrices have most to read; whether the models
then answer differently is measured on their answers, never concluded from the weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import attrs
import torch
from attrs.validators import ge
from torch import Tensor

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.errors import PairError
from softdiv.searching import (
    LOOK_SHARE,
    MatrixChange,
    WordSearcher,
    around,
    matrix_changes,
    read_together,
    standing_out,
    suspectable,
    vocabulary_words,
    word_states,
)

_QUERY = re.compile(r"(^|\.)(w?q(_\w*)?|query)$")


@attrs.frozen(kw_only=True)
class WeightLens(WordSearcher):
    """Needs the weights of both models, of equal shapes, and keys and values of a prefix."""

    matrices: int = attrs.field(default=5, validator=ge(1))
    """Of the changed matrices, those that move a word most make its score."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first."""
        before, _ = around(task)
        readers = self._readers(task, before)
        if not readers:
            return
        limit = int(budget.remaining * LOOK_SHARE)
        words = suspectable(task, self.vocabulary, limit)
        if not words:
            task.explain("the budget pays for no word")
            return
        moved = self._moved(task, before, list(words.values()), readers)
        suspects = standing_out(words, moved, self.matrices, self.words)
        yield from self.prompts_of(task, budget, suspects, "the weights")

    def _readers(self, task: SearchTask, before: tuple[int, ...]) -> dict[str, list[MatrixChange]]:
        """The changes that make keys and values, by the first that reads the same states; where
        none of these changed, all but queries."""
        model = task.pair.model_1
        words = vocabulary_words(task)
        if not words:
            task.explain("the tokenizer has no tokens that begin a word")
            return {}
        if not model.keeps_cache:
            task.explain("model_1 keeps no keys and values: each word would cost a whole row")
            return {}
        try:
            changes = {f"{c.layer}.{c.name}": c for c in matrix_changes(task.pair)}
        except PairError as error:
            task.explain(str(error))
            return {}
        if not changes:
            task.explain("no matrix of the models' layers differs")
            return {}
        modules = {name: change.module for name, change in changes.items()}
        firsts = read_together(model, before, words[0][:1], modules)
        earliest: dict[int, str] = {}
        for name, first in firsts.items():
            earliest.setdefault(changes[name].layer, first)
        other = [name for name in firsts if not _QUERY.search(changes[name].name)]
        entering = [name for name in other if firsts[name] == earliest[changes[name].layer]]
        chosen: dict[str, list[str]] = {}
        for name in entering or other or firsts:
            chosen.setdefault(firsts[name], []).append(name)
        return {names[0]: [changes[name] for name in names] for names in chosen.values()}

    def _moved(
        self,
        task: SearchTask,
        before: tuple[int, ...],
        words: Sequence[tuple[int, ...]],
        readers: Mapping[str, Sequence[MatrixChange]],
    ) -> Tensor:
        """``[W, S]``: how far each of the S changes moves what its matrix reads at each word."""
        each = [(name, n) for name, changes in readers.items() for n in range(len(changes))]
        places = {key: place for place, key in enumerate(each)}
        moved = torch.zeros(len(words), len(places), device=task.pair.model_1.device)
        modules = {name: changes[0].module for name, changes in readers.items()}
        for name, part, states in word_states(
            task.pair.model_1, before, words, modules, task.limit
        ):
            for n, change in enumerate(readers[name]):
                shift = states.to(change.rows) @ change.rows.T
                moved[part, places[name, n]] = shift.float().norm(dim=-1)
        return moved
