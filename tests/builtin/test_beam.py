"""Fluent prompts, grown token by token."""

from __future__ import annotations

import attrs

from softdiv.builtin.beam import Beam
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.searching import SearchTask, selection_cost, surprises, usual_row
from tests.builtin.planted_word import misread_word, search, task_on

SMALL = Beam(length=3, width=2, fewest=6, response_tokens=3)


def noisy(chat: bool = True) -> SearchTask:
    model_1, tokenizer = TinyLoader(chat=chat).load("cpu")
    return task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)


def test_a_word_that_one_model_misreads_is_among_what_it_tries() -> None:
    task, word = misread_word()
    found = search(attrs.evolve(SMALL, length=1, most=600, texts=1), task, 60_000)
    assert [(prompt.text, prompt.note) for prompt in found] == [(word, "grown to 1 tokens")]


def test_prompts_are_likelier_than_swapped_ones() -> None:
    task = noisy()
    prompts = search(attrs.evolve(SMALL, most=12), task, 60_000)
    assert len(prompts) == 3
    before = task.layout.soft(task.train[0]).before
    grown = [task.layout.encode(prompt.text) for prompt in prompts]
    reversed_ = [ids[::-1] for ids in grown if len(ids) > 1]
    odd = surprises(task, before, [ids for ids in grown if len(ids) > 1])
    odder = surprises(task, before, reversed_)
    assert sum(odd) < sum(odder)


def test_it_is_as_long_and_as_wide_as_the_budget_allows() -> None:
    lengths = []
    for limit in (12_000, 40_000):
        task = noisy()
        before = task.pair.ledger.total
        prompts = search(SMALL, task, limit)
        spent = task.pair.ledger.total - before
        assert 0.4 * limit < spent + selection_cost(usual_row(task), 3) <= limit
        lengths.append(len(prompts))
    assert lengths[0] < lengths[1] == 3


def test_the_same_seed_gives_the_same_prompts() -> None:
    found = [search(SMALL, noisy(), 20_000) for _ in range(2)]
    assert found[0] == found[1]


def test_it_says_why_it_proposes_nothing() -> None:
    task = noisy()
    assert search(SMALL, task, 100) == []
    plain = noisy(chat=False)
    assert search(SMALL, plain, 60_000) == []
    assert task.explanations == ["the budget does not pay for 6 prompts of one token"]
    assert plain.explanations == [
        "nothing stands before a prompt, so that no model could continue it"
    ]
