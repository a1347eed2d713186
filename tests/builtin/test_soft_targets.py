"""Words that bring about what the soft prompt brings about."""

from __future__ import annotations

import attrs
import pytest
import torch

from softdiv.builtin.soft_targets import SOURCES, SoftTargets
from softdiv.pair.input_space import vectors
from softdiv.search.budget import FteBudget
from softdiv.search.task import SearchTask
from tests.builtin.planted_word import PLENTY, a_word, planted, same_pair, search

SEARCH = SoftTargets(
    words=4,
    extended=(2,),
    continuations=(3,),
    texts=2,
    answer_tokens=3,
    prompts=2,
    pairs=2,
    target_tokens=2,
    list_words=8,
    vocabulary=41,  # as many as the tokenizer has of one token
)


def trained(place: int) -> SearchTask:
    """A soft prompt that acts as the planted word does: its own vector."""
    word, _ = a_word(place)
    task = planted("self_attn.v_proj", word)
    task.soft_prompt = vectors(task.pair.model_1, torch.tensor(word))
    return task


def test_the_word_that_answers_as_the_soft_prompt_does_is_found() -> None:
    prompts = search(attrs.evolve(SEARCH, extended=()), trained(7))
    assert f"'{a_word(7)[1]}' from soft answers" in [prompt.note for prompt in prompts]


def test_plain_answers_may_be_the_targets_instead() -> None:
    """The ablation that shows what the soft prompt adds."""
    task = trained(7)
    budget = FteBudget(task.pair.ledger, PLENTY)
    found = {source: SEARCH._targets(task, budget, source) for source in SOURCES}
    assert found["soft"] != found["plain"]
    prompts = search(attrs.evolve(SEARCH, source="plain"), task)
    assert prompts and all(prompt.note.endswith("from plain answers") for prompt in prompts)


def test_without_a_soft_prompt_amplified_answers_are_the_targets_and_it_says_so() -> None:
    task = planted("self_attn.v_proj", a_word(7)[0])
    prompts = search(SEARCH, task)
    assert prompts and all(p.note.endswith("from amplified answers") for p in prompts)
    assert task.explanations == ["no soft prompt was trained: amplified answers were the targets"]
    task.explanations.clear()
    again = search(attrs.evolve(SEARCH, source="amplified"), attrs.evolve(task))
    assert [p.text for p in again] == [p.text for p in prompts]
    assert task.explanations == []


def test_the_same_seed_finds_the_same() -> None:
    one, two = (search(SEARCH, trained(5)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("limit", [0, 1, 300, 3_000])
def test_it_spends_what_it_has(limit: int) -> None:
    task = trained(7)
    spent = task.pair.ledger.total
    prompts = search(SEARCH, task, limit)
    assert task.pair.ledger.total - spent <= limit + 1500  # the batch under way
    if limit == 0:
        assert task.pair.ledger.total == spent
    if limit == 1:
        assert prompts == []
        assert task.explanations
    if limit == 3_000:
        assert prompts


def test_models_without_keys_and_values_are_searched_too() -> None:
    task = trained(7)
    task.pair.model_2.keeps_cache = False
    assert search(SEARCH, task)


def test_models_that_are_one_give_no_reason_to_stop() -> None:
    task = same_pair()
    task.soft_prompt = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    assert all(task.usable(prompt.text) for prompt in search(SEARCH, task, PLENTY))
