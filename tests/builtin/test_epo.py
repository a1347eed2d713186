"""Evolution of D against fluency."""

from __future__ import annotations

import attrs

from softdiv.builtin.epo import Epo
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.searching import SearchTask, selection_cost, surprises, usual_row
from tests.builtin.planted_word import misread_word, search, task_on

SMALL = Epo(length=3, children=4, response_tokens=3, prices=(0.0, 1.0), rounds=3)


def noisy() -> SearchTask:
    model_1, tokenizer = TinyLoader().load("cpu")
    return task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)


def test_a_word_that_one_model_misreads_gets_into_the_prompt() -> None:
    task, word = misread_word()
    one = {"length": 1, "texts": 1, "response_tokens": 2, "prices": (0.0,)}
    every = attrs.evolve(SMALL, children=500, top_k=500, **one)
    assert [prompt.text for prompt in search(every, task, 60_000)] == [word]


def test_the_member_for_whom_fluency_has_a_price_surprises_less() -> None:
    task = noisy()
    free, fluent = search(SMALL, task, 40_000)
    before = task.layout.soft(task.train[0]).before
    prompts = [task.layout.encode(prompt.text) for prompt in (free, fluent)]
    odd = surprises(task, before, prompts)
    assert odd[1] < odd[0]
    assert free.note.endswith("rounds, best at price 0")
    assert fluent.note.endswith("rounds, best at price 1")


def test_the_population_is_as_large_as_the_budget_allows() -> None:
    for limit, members in ((12_000, 1), (40_000, 2)):
        task = noisy()
        before = task.pair.ledger.total
        prompts = search(SMALL, task, limit)
        assert len({prompt.note for prompt in prompts}) == members
        spent = task.pair.ledger.total - before
        assert 0.5 * limit < spent + selection_cost(usual_row(task), len(prompts)) <= limit


def test_a_prompt_that_is_best_at_two_prices_is_proposed_once() -> None:
    one, *more = search(attrs.evolve(SMALL, prices=(0.0, 1e-9)), noisy(), 40_000)
    assert not more
    assert one.note.endswith("rounds, best at price 0 and 1e-09")


def test_the_same_seed_gives_the_same_prompts() -> None:
    found = []
    for seed in (0, 0, 1):
        task = noisy()
        task.seed = seed
        found.append(search(SMALL, task, 12_000))
    assert found[0] == found[1] != found[2]


def test_it_says_why_it_proposes_nothing() -> None:
    task = noisy()
    assert search(SMALL, task, 100) == []
    assert task.explanations == ["the budget pays for no round"]
