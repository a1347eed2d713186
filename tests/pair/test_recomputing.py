"""Gradient checkpointing: the same gradient from far fewer kept tensors."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.layout import Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.teacher_forcing import response_states
from softdiv.pair.wrapper import ModelWrapper

ANSWERS = [[40, 41, 42, 43], [50, 51]]


def wrapped(architecture: str) -> ModelWrapper:
    model, tokenizer = TinyLoader(architecture=architecture, layers=6).load("cpu")  # type: ignore[arg-type]
    return ModelWrapper("model_1", model, tokenizer, Ledger())


def gradient(wrapper: ModelWrapper, recompute: bool) -> tuple[Tensor, int]:
    """The gradient of a weighted sum of the states, and the bytes kept for the backward pass."""
    layout = Layout(wrapper.tokenizer, "user_start")
    soft = wrapper.embedding_table[:4].detach().clone().requires_grad_()
    contexts = [layout.soft("Hello."), layout.soft("What is a good recipe for bread and soup?")]
    wrapper.prefix_cache(layout.soft("Hello.").before, 1)  # computed before, as in a training
    own = {p.untyped_storage()._cdata for p in wrapper.model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = response_states(wrapper, contexts, ANSWERS, soft, recompute=recompute)
    size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    # not their norm: the last layer normalises, and its gradient would be rounding error
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad((states * weights).sum(), soft)
    return found, size


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_same_gradient_fewer_tensors(architecture: str) -> None:
    wrapper = wrapped(architecture)
    plain, much = gradient(wrapper, recompute=False)
    again, little = gradient(wrapper, recompute=True)
    assert float(plain.norm()) > 0
    assert torch.allclose(plain, again, rtol=1e-4, atol=1e-5 * float(plain.abs().max()))
    assert little < much / 4
    after, _ = gradient(wrapper, recompute=False)
    assert torch.equal(plain, after), "nothing stays switched on"


def test_dropout_stays_off() -> None:
    model, tokenizer = TinyLoader(architecture="gpt2").load("cpu")
    config = copy.deepcopy(model.config)
    config.resid_pdrop = config.attn_pdrop = config.embd_pdrop = 0.5
    noisy = type(model)(config)
    noisy.load_state_dict(model.state_dict())
    wrapper = ModelWrapper("model_1", noisy, tokenizer, Ledger())
    assert torch.equal(gradient(wrapper, True)[0], gradient(wrapper, True)[0])
    assert torch.allclose(gradient(wrapper, True)[0], gradient(wrapper, False)[0], atol=1e-4)


def test_what_it_costs_is_charged() -> None:
    wrapper = wrapped("llama")
    layout = Layout(wrapper.tokenizer, "user_start")
    context = layout.soft("Hello.")
    soft = wrapper.embedding_table[:4].detach().clone().requires_grad_()
    response_states(wrapper, [context], [[40]], soft, recompute=True)
    positions = len(context) + 4 + 1
    assert wrapper.ledger.total == 4 * positions


def test_an_architecture_without_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = wrapped("llama")

    def nothing(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(wrapper.model, "modules", nothing)
    with (
        pytest.raises(PairError, match="has no gradient checkpointing"),
        wrapper.recomputing(),
    ):
        pass
