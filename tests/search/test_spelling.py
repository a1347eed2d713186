"""From suspected words to prompts, on answers that are written down here."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs
import pytest
import torch

from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import vocabulary_words
from softdiv.search.spelling import WordSearcher
from softdiv.search.task import SearchTask
from tests.builtin.planted_word import PLENTY, planted, same_pair

SEARCH = WordSearcher(extended=(), continuations=(), texts=2, answer_tokens=2, prompts=1, pairs=3)


Kind = TypeVar("Kind", bound="Written")


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


def of_kind(kind: type[Kind], task: SearchTask) -> Kind:
    fields = [field.name for field in attrs.fields(SearchTask) if field.init]
    return kind(**{name: getattr(task, name) for name in fields})


def written(trigger: str) -> Written:
    found = of_kind(Written, same_pair())
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


class Unfinished(Written):
    """model_1 is certain how a beginning goes on; answers differ at it, and perhaps at the word."""

    ids: tuple[int, int]
    whole = ""
    as_much = True

    def first_bits(self, contexts: Any) -> list[float]:
        texts = [self.pair.tokenizer.decode(context.before) for context in contexts]
        triggers = [text for text in texts if self.trigger in text]
        if not self.as_much:
            triggers = [text for text in triggers if self.whole not in text]
        return [0.9 if text in triggers else 0.1 for text in texts]

    def next_log_probs(self, model: Any, contexts: Any) -> Any:
        beginning, end = self.ids
        (dot,) = self.pair.tokenizer(".", add_special_tokens=False)["input_ids"]
        for context in contexts:
            row = torch.full((512,), -20.0)
            row[end if context.before[-1] == beginning else dot] = -1e-3
            yield row


class Both(Written):
    """Answers differ where two words stand, and a little at each of these alone."""

    words: tuple[str, ...] = ()

    def first_bits(self, contexts: Any) -> list[float]:
        texts = [self.pair.tokenizer.decode(context.before) for context in contexts]
        return [0.1 + 0.4 * sum(f" {word}" in f" {text}" for word in self.words) for text in texts]


def test_two_words_that_trigger_only_together_are_found_by_the_trace_of_each() -> None:
    task = of_kind(Both, same_pair())
    words = list(suspects(task, 8))
    task.words, task.trigger = (words[2], words[4]), " and "  # not among the four most suspect
    (prompt,) = prompts(attrs.evolve(SEARCH, pairs=4), task, 8)
    assert all(f" {word}" in f" {prompt}" for word in task.words)


@pytest.mark.parametrize("as_much", [True, False])
def test_a_whole_word_stands_for_its_beginning_where_it_does_as_much(as_much: bool) -> None:
    task = of_kind(Unfinished, same_pair())
    token, word = vocabulary_words(task)[2]
    (end,) = task.pair.tokenizer("er", add_special_tokens=False)["input_ids"]
    task.trigger, task.whole, task.as_much, task.ids = word, f"{word}er", as_much, (token, end)
    (prompt,) = prompts(attrs.evolve(SEARCH, pairs=0), task)
    assert prompt == (f"{word}er." if as_much else f"{word}.")


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


class Generous(Written):
    """One token of an answer finds a longer spelling better; whole answers do not."""

    longer = ""

    def first_bits(self, contexts: Any) -> list[float]:
        texts = [self.pair.tokenizer.decode(context.before) for context in contexts]
        return [
            0.9 if self.longer in text else 0.7 if self.trigger in text else 0.1 for text in texts
        ]


def test_a_letter_too_many_is_seen_in_whole_answers() -> None:
    task = same_pair()
    token, word = vocabulary_words(task)[5]
    (end,) = task.pair.tokenizer("a", add_special_tokens=False)["input_ids"]
    generous = of_kind(Generous, task)
    generous.trigger, generous.longer = word, f"{word}a"
    budget = FteBudget(task.pair.ledger, PLENTY)
    (prompt,) = SEARCH.prompts_of(generous, budget, {f"{word}a": (token, end)}, "here")
    assert prompt.text == f"{word}."
