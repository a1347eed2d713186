"""A difference planted at one word, seen from the states of two models whose weights stay shut."""

from __future__ import annotations

import attrs
import pytest

from softdiv.builtin.cache_lens import CacheLens
from softdiv.builtin.loaders.tiny import TinyLoader
from tests.builtin.planted_word import WORDS, a_word, planted, same_pair, search, task_on

LENS = CacheLens(
    words=4,
    vocabulary=WORDS,
    extended=(2,),
    continuations=(3,),
    texts=2,
    answer_tokens=3,
    prompts=2,
)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("module", ["self_attn.o_proj", "mlp.up_proj"])
def test_the_word_at_which_the_models_differ_leads_to_a_prompt(module: str, cached: bool) -> None:
    word, text = a_word(7)
    task = planted(module, word, strength=1.0)
    task.pair.model_2.keeps_cache = cached
    (prompt,) = search(attrs.evolve(LENS, words=1, extended=()), task)
    assert prompt.text in [f"Tell me about {text}.", f"I like {text}.", f"{text}."]
    assert prompt.note == f"'{text}' from the models' states"


def test_a_small_budget_is_for_fewer_words() -> None:
    word, text = a_word(7)
    for limit, reached in ((10, False), (800, True)):  # at two positions a word, the 8th
        task = planted("self_attn.v_proj", word)
        found = [prompt.note for prompt in search(attrs.evolve(LENS, extended=()), task, limit)]
        assert (f"'{text}' from the models' states" in found) == reached
        assert task.pair.ledger.total <= limit + 600  # one batch of tests


def test_models_of_other_shapes_are_compared_where_their_states_have_one_width() -> None:
    task = planted("self_attn.v_proj", a_word(7)[0])
    deeper = TinyLoader(hidden_size=64, layers=3).load("cpu")[0]
    task = task_on(task.pair.model_1.model, deeper, task.pair.tokenizer)
    assert search(LENS, task)


def test_it_says_why_it_finds_nothing() -> None:
    task = same_pair()
    assert search(LENS, task) == []
    assert task.explanations == ["the models compute the same at every word"]
    task.explanations.clear()
    assert search(LENS, task, 1) == []
    assert "the budget pays for no word" in task.explanations[0]
