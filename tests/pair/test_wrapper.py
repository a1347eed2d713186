"""Forward passes: right for every architecture, and paid for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Phi3Config

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import DataError, PairError
from softdiv.pair.inputs import assemble
from softdiv.pair.layout import Context
from softdiv.pair.ledger import Ledger
from softdiv.pair.wrapper import ModelWrapper
from tests.pair.test_unlike_pairs import random_model


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_log_probs_are_the_models_own(architecture: str) -> None:
    model, tokenizer = TinyLoader(architecture=architecture).load("cpu")  # type: ignore[arg-type]
    wrapper = ModelWrapper("model_1", model, tokenizer)
    ids = torch.tensor([[5, 9, 100, 7]])
    with torch.no_grad():
        states = wrapper.hidden(wrapper.embed(ids), torch.ones_like(ids), torch.arange(4)[None])
        expected = model(input_ids=ids).logits.log_softmax(-1)
    assert torch.allclose(wrapper.log_probs(states), expected, atol=1e-5)


def test_every_position_is_charged_and_a_backward_pass_twice_more() -> None:
    ledger = Ledger()
    wrapper = ModelWrapper("model_1", *TinyLoader().load("cpu"), ledger)
    assert ledger.total == 0
    embeds, mask = torch.randn(2, 5, 32), torch.ones(2, 5, dtype=torch.long)
    positions = torch.arange(5).expand(2, 5)
    with ledger.phase("search"):
        with torch.no_grad():
            wrapper.hidden(embeds, mask, positions)
        with ledger.phase("train"):
            wrapper.hidden(embeds.requires_grad_(), mask, positions)
        wrapper.hidden(embeds.detach(), mask, positions)
    assert ledger.by_phase == {"search": 20, "train": 30}
    assert ledger.total == 50


def test_a_phase_ends_with_an_error_too() -> None:
    ledger = Ledger()
    with pytest.raises(ZeroDivisionError), ledger.phase("x"):
        raise ZeroDivisionError
    ledger.charge(1, with_backward=False)
    assert ledger.by_phase == {"other": 1}


def test_a_shared_prefix_is_paid_once() -> None:
    wrapper = ModelWrapper("model_1", *TinyLoader().load("cpu"))
    for _ in range(3):
        wrapper.prefix_cache((5, 6, 7), 4)
    assert wrapper.ledger.total == 3


class Scaled:
    """Mixed into a model: logits times two after the head, as Granite and Cohere scale theirs."""

    def forward(self, *args: object, **kwargs: object) -> object:
        out = super().forward(*args, **kwargs)  # type: ignore[misc]
        out.logits = out.logits * 2
        return out


def test_logits_changed_after_the_head_are_the_models_own() -> None:
    model, tokenizer = TinyLoader().load("cpu")
    model.__class__ = type("ScaledLlama", (Scaled, type(model)), {})
    wrapper = ModelWrapper("model_2", model, tokenizer)
    ids = torch.tensor([[5, 9, 100, 7]])
    embeds = wrapper.embed(ids).requires_grad_()
    states = wrapper.hidden(embeds, torch.ones_like(ids), torch.arange(4)[None])
    found = wrapper.log_probs(states)
    assert torch.allclose(found, model(input_ids=ids).logits.log_softmax(-1), atol=1e-5)
    found[0, 3, 7].backward()
    assert embeds.grad is not None and float(embeds.grad.abs().max()) > 0


def test_logits_that_depend_on_more_than_the_states_are_refused() -> None:
    model, tokenizer = TinyLoader().load("cpu")

    class Biased(type(model)):  # type: ignore[misc]
        def forward(self, input_ids: torch.Tensor, **kwargs: object) -> object:
            out = super().forward(input_ids, **kwargs)
            out.logits = out.logits + input_ids[..., None] * torch.linspace(0, 1, 512)
            return out

    model.__class__ = Biased
    with pytest.raises(PairError, match="changes its logits after the head"):
        ModelWrapper("model_2", model, tokenizer)


def test_a_body_without_head_is_refused() -> None:
    model, tokenizer = TinyLoader().load("cpu")
    with pytest.raises(PairError, match="not a causal language model with a separate head"):
        ModelWrapper("model_1", model.model, tokenizer, vocab_size=512)


def test_a_row_that_changes_the_frequencies_of_all_does_not_fit() -> None:
    """Phi-3's long rotary factors replace the short ones as soon as one row needs them."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4,
    }
    _, tokenizer = TinyLoader().load("cpu")
    options = {"rope_parameters": rope, "original_max_position_embeddings": 64}
    model = random_model(Phi3Config, 0, pad_token_id=1, **options)
    wrapper = ModelWrapper("model_1", model, tokenizer)
    assert wrapper.max_positions == 64
    rows = [Context((5,) * length) for length in (4, 65)]
    with pytest.raises(DataError, match="65 tokens do not fit into the 64 positions"):
        assemble(wrapper, rows, pad_left=False)


def test_a_tokens_likelihood_is_exact_in_a_large_vocabulary(monkeypatch: Any) -> None:
    model, tokenizer = TinyLoader().load("cpu")
    wrapper = ModelWrapper("model_1", model, tokenizer, left_out=(7,))
    logits = 5 * torch.randn(8, 262_144, generator=torch.Generator().manual_seed(0))
    logits[:, 7] = 60.0  # most likely, were it one that counts
    monkeypatch.setattr(ModelWrapper, "head", lambda _, states: logits)
    tokens = torch.arange(100, 108)
    found = wrapper.log_probs_of(torch.zeros(8, 1), tokens)
    logits_that_count = torch.cat([logits[:, :7], logits[:, 8:]], dim=1).double()
    wanted = logits.double()[range(8), tokens] - logits_that_count.logsumexp(-1)
    assert (found.double() - wanted).abs().max() < 5e-6  # log_softmax: 2e-5
