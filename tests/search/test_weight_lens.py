"""A difference planted in the weights, at what they read of one word."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.weight_lens import WeightLens
from softdiv.config.schema import GenerationConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.pair.manager import ModelPair
from softdiv.pair.vocabulary import run_words
from softdiv.pair.words import word_beginnings
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import _once, around, vocabulary_words
from softdiv.search.task import SearchTask

LENS = WeightLens(words=8, extended=(2,), continuations=(3,), texts=2, answer_tokens=3, prompts=2)


def task_on(model_1: Any, model_2: Any, tokenizer: Any) -> SearchTask:
    pair = ModelPair.of(model_1, model_2, tokenizer)
    return SearchTask(
        pair=pair,
        layout=pair.layout(),
        train=[Example(id=i, text=t) for i, t, _ in user_texts()[:12]],
        config=GenerationConfig(),
        soft_prompt=None,
        seed=0,
    )


def planted(module: str, word: int) -> SearchTask:
    """``module`` of model_2's first layer adds to what it makes of the word, and of little else."""
    model_1, tokenizer = TinyLoader(hidden_size=64).load("cpu")
    model_2, _ = TinyLoader(hidden_size=64).load("cpu")
    task = task_on(model_1, model_2, tokenizer)
    ids = list(beginnings(task.pair))
    reader = {"r": model_1.model.layers[0].get_submodule(module)}
    parts = [part for _, _, part in run_words(task.pair.model_1, around(task)[0], ids, reader)]
    states = torch.cat(parts).float()
    read = states - states.mean(dim=0)
    direction = torch.linalg.lstsq(read.T @ read + torch.eye(read.shape[1]), read[ids.index(word)])
    weight = model_2.model.layers[0].get_submodule(module).weight
    push = torch.randn(len(weight), 1, generator=torch.Generator().manual_seed(1))
    weight.data += 100 * push @ direction.solution[None]
    return task_on(model_1, model_2, tokenizer)


def beginnings(pair: ModelPair) -> dict[int, str]:
    return word_beginnings(pair.tokenizer, pair.model_1.ordinary_ids())


def search(task: SearchTask, lens: WeightLens = LENS) -> list[HardPrompt]:
    return list(lens(task, FteBudget(task.pair.ledger, 10**9)))


def a_word(place: int) -> tuple[int, str]:
    model, tokenizer = TinyLoader(hidden_size=64).load("cpu")
    return vocabulary_words(task_on(model, model, tokenizer))[place]


@pytest.mark.parametrize("module", ["self_attn.v_proj", "mlp.up_proj"])
def test_the_word_at_which_the_weights_act_leads_to_a_prompt(module: str) -> None:
    word, text = a_word(7)
    task = planted(module, word)
    (prompt,) = search(task, attrs.evolve(LENS, words=1, extended=()))
    assert prompt.text in [f"Tell me about {text}.", f"I like {text}.", f"{text}."]
    assert prompt.note == f"'{text}' from the weights"


def test_spellings_of_one_discovery_are_one_prompt() -> None:
    task = planted("self_attn.v_proj", a_word(7)[0])
    prompts = search(task)
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
    model, tokenizer = TinyLoader().load("cpu")
    cases = {
        "no matrix of the models' layers differs": model,
        "do not have the same matrices": TinyLoader(architecture="gpt2").load("cpu")[0],
    }
    for why, other in cases.items():
        task = task_on(model, other, tokenizer)
        assert search(task) == []
        assert why in task.explanations[0]
    task.explanations.clear()
    task.pair.model_1.keeps_cache = False
    assert search(task) == []
    assert "keeps no keys and values" in task.explanations[0]


def test_words_are_taken_once_in_small_letters() -> None:
    words = [(1, "River"), (2, "of"), (3, "river"), (4, "RIVER"), (5, "Vienna")]
    assert _once(words) == [(3, "river"), (5, "Vienna")]
