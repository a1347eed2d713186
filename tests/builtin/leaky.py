"""A tiny pair whose second model writes one word more often than the first, everywhere."""

from __future__ import annotations

from typing import Any

import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.schema import GenerationConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.pair.manager import ModelPair
from softdiv.pair.words import word_beginnings
from softdiv.plugin.records import Example
from softdiv.search.task import SearchTask


def leaky_task(push: float = 4.0, tokenizer: Any = None) -> tuple[SearchTask, str]:
    """The task, and the word, whose logit is ``push`` higher in model_2."""
    size = 512 if tokenizer is None else len(tokenizer)
    model_1, own = TinyLoader(vocab_size=size).load("cpu")
    model_2, _ = TinyLoader(vocab_size=size).load("cpu")
    tokenizer = tokenizer or own
    words = word_beginnings(tokenizer, range(3, size))
    token, word = next((i, text) for i, text in words.items() if len(text) > 3)
    for model in (model_1, model_2):  # a last state that is much the same everywhere
        model.model.norm.weight.data[0] = 0
        model.model.norm.register_forward_hook(_constant)
    model_2.lm_head.weight.data[token, 0] += push
    pair = ModelPair.of(model_1, model_2, tokenizer)
    task = SearchTask(
        pair=pair,
        layout=pair.layout(),
        train=[Example(id=i, text=t) for i, t, _ in user_texts()[:40]],
        config=GenerationConfig(),
        soft_prompt=None,
        seed=0,
    )
    return task, word


def _constant(_: Any, __: Any, states: torch.Tensor) -> torch.Tensor:
    """One number of every state is 1."""
    changed = states.clone()
    changed[..., 0] = 1.0
    return changed
