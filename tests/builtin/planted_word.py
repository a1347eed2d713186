"""Tiny pairs whose model_2 does something of its own at one word."""

from __future__ import annotations

from typing import Any

import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.schema import GenerationConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.pair.manager import ModelPair
from softdiv.pair.vocabulary import Word, run_words
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import around, suspectable, vocabulary_words
from softdiv.search.swaps import typeable
from softdiv.search.task import SearchTask

PLENTY = 10**9
WORDS = 90
"""Of the tiny tokenizer, all of one token and some of two."""


def task_on(model_1: Any, model_2: Any, tokenizer: Any) -> SearchTask:
    """A search with twelve training texts and no soft prompt."""
    pair = ModelPair.of(model_1, model_2, tokenizer)
    return SearchTask(
        pair=pair,
        layout=pair.layout(),
        train=[Example(id=i, text=t) for i, t, _ in user_texts()[:12]],
        config=GenerationConfig(),
        soft_prompt=None,
        seed=0,
    )


def same_pair() -> SearchTask:
    """Two models that are one."""
    model, tokenizer = TinyLoader(hidden_size=64).load("cpu")
    return task_on(model, model, tokenizer)


def a_word(place: int) -> tuple[Word, str]:
    """Tokens and text of a word of the tiny tokenizer."""
    token, text = vocabulary_words(same_pair())[place]
    return (token,), text


def a_begun_word(place: int) -> tuple[Word, str]:
    """The same, of one whose first token is one or two letters."""
    found = suspectable(same_pair(), WORDS, PLENTY)
    text, ids = [item for item in found.items() if len(item[1]) == 2][place]
    return ids, text


def planted(module: str, word: Word, strength: float = 100.0) -> SearchTask:
    """``module`` of model_2's first layer adds to what it makes of the word, and of little else."""
    model_1, tokenizer = TinyLoader(hidden_size=64).load("cpu")
    model_2, _ = TinyLoader(hidden_size=64).load("cpu")
    task = task_on(model_1, model_2, tokenizer)
    ids = [(i,) for i, _ in vocabulary_words(task)]
    ids += [word] if word not in ids else []
    reader = {"r": model_1.model.layers[0].get_submodule(module)}
    parts = [part for _, _, part in run_words(task.pair.model_1, around(task)[0], ids, reader)]
    states = torch.cat(parts).float()
    read = states - states.mean(dim=0)
    direction = torch.linalg.lstsq(read.T @ read + torch.eye(read.shape[1]), read[ids.index(word)])
    weight = model_2.model.layers[0].get_submodule(module).weight
    push = torch.randn(len(weight), 1, generator=torch.Generator().manual_seed(1))
    weight.data += strength * push @ direction.solution[None]
    return task_on(model_1, model_2, tokenizer)


def misread_word() -> tuple[SearchTask, str]:
    """A search, and a token that model_2 reads as its opposite; else the models agree."""
    model_1, tokenizer = TinyLoader(hidden_size=64).load("cpu")
    model_2, _ = TinyLoader(hidden_size=64).load("cpu")
    task = task_on(model_1, model_2, tokenizer)
    known = {i for example in task.train for i in task.layout.hard(example).before}
    single = [[i] for i in task.pair.model_1.ordinary_ids() if i not in known]
    ((*_, token),) = typeable(task, single, 40, task.train[0])[-1:]
    with torch.no_grad():
        model_2.get_input_embeddings().weight[token] *= -1
    return task_on(model_1, model_2, tokenizer), task.layout.prompt_of([token])


def search(searcher: Any, task: SearchTask, limit: int = PLENTY) -> list[HardPrompt]:
    """All of its prompts."""
    return list(searcher(task, FteBudget(task.pair.ledger, limit)))
