"""From suspected words to prompts, on answers that are written down here."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch

from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import around, completed, vocabulary_words
from softdiv.search.spelling import WordSearcher
from softdiv.search.task import SearchTask
from tests.builtin.planted_word import PLENTY, planted, same_pair

SEARCH = WordSearcher(extended=(), continuations=(), texts=2, answer_tokens=2, prompts=1, pairs=3)


class Written(SearchTask):
    """Answers differ where a prompt or a user's text holds what triggers them."""

    trigger = ""
    late = False
    """Not in the first token of the answer."""
    asked: int = 0

    def first_bits(self, contexts: Any) -> list[float]:
        self.asked += len(contexts)
        texts = [self.pair.tokenizer.decode(context.before) for context in contexts]
        return [0.9 if self.trigger in text and not self.late else 0.1 for text in texts]

    def sample(self, contexts: Any, *_: Any) -> Any:
        texts = [self.pair.tokenizer.decode(context.before) for context in contexts]
        yield Answers(torch.tensor([0.6 if self.trigger in text else 0.1 for text in texts]))


@attrs.frozen
class Answers:
    """As Rollouts."""

    values: torch.Tensor

    def mean_bits(self) -> torch.Tensor:
        return self.values

    def summed_ratio(self) -> torch.Tensor:
        return 10 * self.values


def written(trigger: str) -> Written:
    task = same_pair()
    fields = [field.name for field in attrs.fields(SearchTask) if field.init]
    found = Written(**{name: getattr(task, name) for name in fields})
    found.trigger = trigger
    return found


def suspects(task: SearchTask, count: int) -> dict[str, tuple[int, ...]]:
    return {text: (i,) for i, text in vocabulary_words(task)[:count]}


def prompts(search: WordSearcher, task: SearchTask, count: int = 5) -> list[str]:
    budget = FteBudget(task.pair.ledger, PLENTY)
    found = search.prompts_of(task, budget, suspects(task, count), "a test")
    return [prompt.text for prompt in found]


def test_the_word_that_triggers_is_the_prompt() -> None:
    word = list(suspects(same_pair(), 5))[3]
    (prompt,) = prompts(SEARCH, written(f" {word}"))
    assert f" {word}" in f" {prompt}"


def test_two_words_that_trigger_only_together_are_found_in_their_order() -> None:
    task = same_pair()
    one, _, three = completed(task, around(task)[0], suspects(task, 3))
    for pair in (f"{one} {three}", f"{three} {one}"):
        (prompt,) = prompts(SEARCH, written(pair))
        assert pair in prompt


def test_no_pair_is_tried_where_a_word_alone_leaves_nothing_to_gain() -> None:
    word = next(iter(suspects(same_pair(), 1)))
    alone, with_pairs = written(f" {word}"), written(f" {word}")
    alone_search = attrs.evolve(SEARCH, pairs=0, near=0.2)
    assert prompts(alone_search, alone) == prompts(attrs.evolve(SEARCH, near=0.2), with_pairs)
    assert alone.asked == with_pairs.asked


def test_a_behaviour_behind_the_first_token_is_seen_by_testing_more_tokens() -> None:
    word = list(suspects(same_pair(), 5))[3]
    for tokens, seen in ((1, False), (4, True)):
        task = written(f" {word}")
        task.late = True
        (prompt,) = prompts(attrs.evolve(SEARCH, tested_tokens=tokens, pairs=0), task)
        assert (f" {word}" in f" {prompt}") == seen


@pytest.mark.parametrize("limit", [200, 2_000, 20_000])
def test_less_is_tried_with_less(limit: int) -> None:
    word, _ = vocabulary_words(same_pair())[7]
    task = planted("self_attn.v_proj", (word,))
    full = WordSearcher(words=30)
    spent = task.pair.ledger.total
    budget = FteBudget(task.pair.ledger, limit)
    scaled = full._within(task, budget, suspects(task, 30))
    assert (scaled.words < full.words) == (limit < 20_000)
    assert list(full.prompts_of(task, budget, suspects(task, 30), "a test"))
    assert task.pair.ledger.total - spent <= limit + 4_000  # one batch, of rows of 100 positions
