"""A difference planted in the weights, at what they read of one word."""

from __future__ import annotations

import attrs
import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.weight_lens import WeightLens
from softdiv.search.candidate_words import around, vocabulary_words
from tests.builtin.planted_word import a_word, planted, same_pair, search, task_on

LENS = WeightLens(words=8, extended=(2,), continuations=(3,), texts=2, answer_tokens=3, prompts=2)


@pytest.mark.parametrize("module", ["self_attn.v_proj", "mlp.up_proj"])
def test_the_word_at_which_the_weights_act_leads_to_a_prompt(module: str) -> None:
    word, text = a_word(7)
    task = planted(module, word)
    (prompt,) = search(attrs.evolve(LENS, words=1, extended=()), task)
    assert prompt.text in [f"Tell me about {text}.", f"I like {text}.", f"{text}."]
    assert prompt.note == f"'{text}' from the weights"


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
    words = vocabulary_words(task)
    before, ids = around(task)[0], [i for i, _ in words]
    readers = LENS._readers(task, before, words)
    assert list(readers) == ["0.self_attn.k_proj"]
    spent = task.pair.ledger.total
    scores = LENS._scores(task, before, ids, readers)
    assert words[int(scores.argmax())] == (word, text)
    assert task.pair.ledger.total - spent == len(before) + len(ids)


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
