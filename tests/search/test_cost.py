"""What a step is said to cost before it is taken, against the ledger."""

from __future__ import annotations

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.searching import (
    SearchTask,
    answered,
    answers_cost,
    bits_gradient,
    gradient_cost,
    header_cost,
    printable_tokens,
    random_prompt,
)
from tests.builtin.planted_word import task_on


@pytest.mark.parametrize("keeps_cache", [True, False])
def test_a_step_costs_at_most_what_was_said_and_not_much_less(keeps_cache: bool) -> None:
    model_1, tokenizer = TinyLoader().load("cpu")
    task: SearchTask = task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)
    ledger = task.pair.ledger
    for model in (task.pair.model_1, task.pair.model_2):
        model.keeps_cache = keeps_cache
    examples = task.train[:3]
    slots = [task.layout.soft(example) for example in examples]
    drawn = [random_prompt(task, printable_tokens(task), 4, examples[0], f"{n}") for n in range(5)]
    prompts = [ids for ids in drawn if ids is not None]
    before = ledger.total
    first, *_ = answered(task, prompts, examples, 6, "a")
    spent = ledger.total - before
    said = answers_cost(task.pair, slots, 4, 6, len(prompts)) + header_cost(slots) * keeps_cache
    assert 0.7 * said <= spent <= said
    before = ledger.total
    bits_gradient(task, first)
    said = gradient_cost(task.pair, slots, 4, 6) + header_cost(slots) * keeps_cache
    assert 0.9 * said <= ledger.total - before <= said
