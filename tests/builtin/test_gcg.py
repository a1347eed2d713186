"""Greedy coordinate gradient on D."""

from __future__ import annotations

import attrs
import pytest

from softdiv.builtin.gcg import Gcg
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.searching import printable_tokens, selection_cost, usual_row
from tests.builtin.planted_word import misread_word, search, task_on

SMALL = Gcg(length=3, candidates=8, response_tokens=3, patience=2)


def test_a_word_that_one_model_misreads_gets_into_the_prompt() -> None:
    task, word = misread_word()
    one = {"length": 1, "texts": 1, "response_tokens": 2}
    found = search(attrs.evolve(SMALL, candidates=500, top_k=500, **one), task, 40_000)
    assert [prompt.text for prompt in found] == [word]
    assert found[0].note == "1 swaps from a random text"


def test_it_ends_with_more_divergence_than_it_began_with() -> None:
    model_1, tokenizer = TinyLoader().load("cpu")
    task = task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)
    prompts = search(SMALL, task, 30_000)
    assert prompts
    texts = [prompt.text for prompt in prompts]
    tokens = printable_tokens(task)
    starts = [SMALL.random(task, tokens, f"gcg:start {n}") for n in range(4)]
    random = [task.layout.prompt_of(ids) for ids in starts if ids is not None]
    better, usual = (task.score(group, task.train, 4) for group in (texts, random))
    assert sum(better) / len(better) > sum(usual) / len(usual)


@pytest.mark.parametrize("limit", [9_000, 40_000])
def test_it_leaves_what_the_choice_among_its_prompts_costs(limit: int) -> None:
    model_1, tokenizer = TinyLoader().load("cpu")
    task = task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)
    before = task.pair.ledger.total
    prompts = search(SMALL, task, limit)
    spent = task.pair.ledger.total - before
    assert prompts
    assert 0.5 * limit < spent + selection_cost(usual_row(task), len(prompts)) <= limit


def test_the_same_seed_gives_the_same_prompts() -> None:
    found = []
    for seed in (0, 0, 1):
        model_1, tokenizer = TinyLoader().load("cpu")
        task = task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)
        task.seed = seed
        found.append(search(SMALL, task, 12_000))
    assert found[0] == found[1] != found[2]


def test_it_says_why_it_proposes_nothing() -> None:
    model, tokenizer = TinyLoader().load("cpu")
    task = task_on(model, model, tokenizer)
    assert search(SMALL, task, 100) == []
    assert search(SMALL, task, 20_000) == []
    assert task.explanations == ["the budget pays for no step", "no swap was better"]
