"""The gradient of a soft prompt by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.gradient_check import gradient_error
from softdiv.pair.probe import SOFT, Probe
from softdiv.pair.tolerance import SINGLE
from softdiv.pair.wrapper import ModelWrapper

NEAR = 0.3
"""Largest distance of a number at which an embedding counts as the soft prompt moved a little."""


def error_beside(edge: Callable[[float], bool]) -> float | None:
    """Of a model whose states jump where ``edge`` says so of a soft prompt's summed change."""
    model, tokenizer = TinyLoader().load("cpu")
    wrapper = ModelWrapper("model_1", model, tokenizer)
    probe = Probe.of(wrapper, SINGLE)
    forward = model.base_model.forward

    def jumping(inputs_embeds: Tensor, **arguments: Any) -> Any:
        out = forward(inputs_embeds=inputs_embeds, **arguments)
        moved = inputs_embeds[0, :SOFT] - probe.soft  # the slot stands behind the cached prefix
        if float(moved.detach().abs().max()) < NEAR and edge(float(moved.detach().sum())):
            out.last_hidden_state = out.last_hidden_state.roll(1, dims=-1)
        return out

    model.base_model.forward = jumping
    return gradient_error(wrapper, probe.slot, probe.answer, probe.soft, SINGLE)


def test_a_smooth_model_agrees() -> None:
    error = error_beside(lambda moved: False)
    assert error is not None
    assert error < 1e-2


@pytest.mark.parametrize("side", [1, -1])
def test_an_edge_on_one_side_is_no_wrong_gradient(side: int) -> None:
    """As where a token changes its expert."""
    error = error_beside(lambda moved: side * moved > 1e-6)
    assert error is not None
    assert error < SINGLE.gradient


def test_edges_all_around_say_nothing_of_the_gradient() -> None:
    error = error_beside(lambda moved: abs(moved) > 1e-6)
    assert error is not None
    assert error > SINGLE.gradient


def test_a_prompt_that_no_output_depends_on_has_no_gradient() -> None:
    model, tokenizer = TinyLoader().load("cpu")
    wrapper = ModelWrapper("model_1", model, tokenizer)
    probe = Probe.of(wrapper, SINGLE)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()  # a row's state is its own token's alone
    assert gradient_error(wrapper, probe.slot, probe.answer, probe.soft, SINGLE) is None
