"""Vectors trained inside a sentence, and what the models say they mean."""

from __future__ import annotations

import attrs
import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.verbalise import Verbalise
from softdiv.search.budget import FteBudget
from softdiv.search.task import SearchTask
from tests.builtin.planted_word import PLENTY, search, task_on

SEARCH = Verbalise(rounds=2, steps=2, texts=2, readings=2, reading_tokens=5, response_tokens=3)


@pytest.fixture
def task() -> SearchTask:
    model, tokenizer = TinyLoader().load("cpu")
    return task_on(model, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)


def test_what_is_said_stands_in_the_carrier_and_bare(task: SearchTask) -> None:
    prompts = search(SEARCH, task)
    texts = [prompt.text for prompt in prompts]
    carried = [text for text in texts if text.startswith("Think of this: ")]
    assert carried and all(task.usable(text) for text in texts)
    for text in texts:
        if text not in carried:
            assert f"Think of this: {text}." in carried
    assert {prompt.note for prompt in prompts} <= {
        f"what the vectors of round {n} mean" for n in (1, 2)
    }


def test_training_raises_the_divergence_of_the_answers(task: SearchTask) -> None:
    long = attrs.evolve(SEARCH, steps=25, learning_rate=0.05, texts=4)
    budget = FteBudget(task.pair.ledger, PLENTY)
    start = long._start(task)
    trained = long._trained(task, budget, start, 0)
    assert trained.shape == start.shape == (6, 32)
    examples = task.train[:6]
    bits = []
    for soft in (start, trained):
        slots = [task.layout.soft(example) for example in examples]
        keys = [example.id for example in examples]
        (answers,) = task.sample(slots, [(0.0, 1.0)] * 6, keys, 3, soft)
        bits.append(float(answers.mean_bits().mean()))
    assert bits[1] > 1.1 * bits[0]


def test_it_starts_from_the_trained_prompt_and_leaves_it_as_it_was(task: SearchTask) -> None:
    task.soft_prompt = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    before = task.soft_prompt.clone()
    search(SEARCH, task)
    assert torch.equal(SEARCH._start(task), before)


def test_the_same_seed_says_the_same(task: SearchTask) -> None:
    one, two = (search(SEARCH, attrs.evolve(task)) for _ in range(2))
    assert one == two


def test_it_stops_when_the_budget_is_spent(task: SearchTask) -> None:
    spent = task.pair.ledger.total
    assert search(SEARCH, task, 1) == []
    assert task.explanations == ["the budget was spent before the vectors could be read"]
    assert task.pair.ledger.total - spent < 3000  # one step


def test_a_sentence_has_one_place_for_the_vectors() -> None:
    for wrong in ("no place", "{} and {}"):
        with pytest.raises(ValueError, match="must hold {} once"):
            Verbalise(carrier=wrong)
        with pytest.raises(ValueError, match="must hold {} once"):
            Verbalise(question=wrong)


def test_what_is_said_is_cut_to_a_prompt(task: SearchTask) -> None:
    assert SEARCH._shortened(task, ' "Boats." And more.\nmore') == "Boats"
    assert SEARCH._shortened(task, "\n \n") == ""
    long = SEARCH._shortened(task, "boats " * 100)
    assert long.startswith("boats") and task.usable(SEARCH.carrier.format(long))
