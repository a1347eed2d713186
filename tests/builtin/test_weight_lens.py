"""A difference planted in the weights, at what they read of one word."""

from __future__ import annotations

import attrs
import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.weight_lens import WeightLens
from softdiv.pair.vocabulary import positions
from softdiv.search.candidate_words import around, standing_out, suspectable
from tests.builtin.planted_word import (
    PLENTY,
    WORDS,
    a_begun_word,
    a_word,
    planted,
    same_pair,
    search,
    task_on,
)

LENS = WeightLens(
    vocabulary=WORDS,
    words=8,
    extended=(2,),
    continuations=(3,),
    texts=2,
    answer_tokens=3,
    prompts=2,
)


@pytest.mark.parametrize("module", ["self_attn.v_proj", "mlp.up_proj"])
def test_the_word_at_which_the_weights_act_leads_to_a_prompt(module: str) -> None:
    word, text = a_word(7)
    task = planted(module, word)
    (prompt,) = search(attrs.evolve(LENS, words=1, extended=()), task)
    assert prompt.text in [f"Tell me about {text}.", f"I like {text}.", f"{text}."]
    assert prompt.note == f"'{text}' from the weights"


def test_a_word_whose_first_token_is_a_letter_or_two_is_found_by_its_second() -> None:
    word, _ = a_begun_word(7)
    task = planted("mlp.up_proj", word)
    (prompt,) = search(attrs.evolve(LENS, words=1, extended=()), task)
    # in the first layer of two, a token is hardly changed by the one before it
    assert prompt.note.split("'")[1].endswith(task.pair.tokenizer.decode(word[-1:]))


def test_spellings_of_one_discovery_are_one_prompt() -> None:
    task = planted("self_attn.v_proj", a_word(7)[0])
    prompts = search(LENS, task)
    words = [prompt.note.split("'")[1] for prompt in prompts]
    assert len(words) == LENS.prompts
    assert not words[0].startswith(words[1]) and not words[1].startswith(words[0])
    assert all(task.usable(prompt.text) for prompt in prompts)


def test_the_lens_needs_no_answers_and_no_random_numbers() -> None:
    word, text = a_word(3)
    task = planted("self_attn.k_proj", word)
    words, before = suspectable(task, WORDS, PLENTY), around(task)[0]
    readers = LENS._readers(task, before)
    assert list(readers) == ["0.self_attn.k_proj"]
    spent = task.pair.ledger.total
    moved = LENS._moved(task, before, list(words.values()), readers)
    assert task.pair.ledger.total - spent == len(before) + positions(list(words.values()))
    assert next(iter(standing_out(words, moved, 5, 3).items())) == (text, word)


def test_it_says_why_it_finds_nothing() -> None:
    task = same_pair()
    model, tokenizer = task.pair.model_1.model, task.pair.tokenizer
    cases = {
        "no matrix of the models' layers differs": model,
        "do not have the same matrices": TinyLoader(architecture="gpt2", hidden_size=64).load(
            "cpu"
        )[0],
    }
    for why, other in cases.items():
        task = task_on(model, other, tokenizer)
        assert search(LENS, task) == []
        assert why in task.explanations[0]
    task.explanations.clear()
    task.pair.model_1.keeps_cache = False
    assert search(LENS, task) == []
    assert "keeps no keys and values" in task.explanations[0]
