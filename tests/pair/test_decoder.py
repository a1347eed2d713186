"""Decoding without a cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.decoder import RerunDecoder, start_decoding
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper

CONTEXTS = [Context(tuple(range(20, 20 + length))) for length in (3, 9, 5)]


@torch.no_grad()
def test_a_model_that_adds_in_place_is_given_its_rows_anew() -> None:
    """GIT adds its positions to the embeddings it is given."""
    model, tokenizer = TinyLoader().load("cpu")
    forward = model.base_model.forward

    def adding(input_ids: Tensor | None = None, **arguments: Any) -> Any:
        if input_ids is not None:
            arguments["inputs_embeds"] = model.base_model.embed_tokens(input_ids)
        arguments["inputs_embeds"].add_(0.1)
        return forward(**arguments)

    model.base_model.forward = adding
    wrapper = ModelWrapper("model_1", model, tokenizer)
    wrapper.keeps_cache = False
    decoder = start_decoding(wrapper, CONTEXTS)
    assert isinstance(decoder, RerunDecoder)
    for token in (40, 41):
        decoder.advance(torch.full((len(CONTEXTS),), token))
    for row, context in enumerate(CONTEXTS):
        ids = torch.tensor([[*context.before, 40, 41]])
        own = model(input_ids=ids).logits[0, -1].log_softmax(-1)
        assert torch.allclose(decoder.log_probs()[row], own, atol=1e-5)
