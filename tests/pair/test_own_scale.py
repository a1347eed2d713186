"""Embeddings that a body multiplies for token ids, and not for those it is given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import TinyLoader, tiny_tokenizer
from softdiv.errors import PairError
from softdiv.pair import self_check as checked
from softdiv.pair.self_check import self_check
from softdiv.pair.wrapper import ModelWrapper

ROOT = 32**0.5


def multiplying(factor: float) -> Any:
    model, _ = TinyLoader().load("cpu")
    body = model.base_model
    forward = body.forward

    def scaled(input_ids: Tensor | None = None, **arguments: Any) -> Any:
        if input_ids is not None:
            arguments["inputs_embeds"] = factor * body.embed_tokens(input_ids)
        return forward(**arguments)

    body.forward = scaled
    return model


def wrapped(model: Any) -> ModelWrapper:
    return ModelWrapper("model_1", model, tiny_tokenizer(512, True))


@pytest.mark.parametrize(("factor", "configured"), [(ROOT, None), (3.0, 3.0)])
def test_known_factors_are_part_of_what_enters_the_layers(
    factor: float, configured: float | None
) -> None:
    model = multiplying(factor)
    if configured:
        model.config.embedding_multiplier = configured
    wrapper = wrapped(model)
    ids = torch.tensor([5, 6])
    assert torch.equal(wrapper.embed(ids), factor * wrapper.embedding_table[ids])
    assert self_check(wrapper).difference < 1e-4


def test_another_factor_is_refused() -> None:
    with pytest.raises(PairError, match=checked.IDS):
        self_check(wrapped(multiplying(1.7)))
