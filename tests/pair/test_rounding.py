"""int8 and int4: the rounding error is what round-to-nearest allows, and no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from softdiv.builtin.loaders.quantize import BITS, quantize_matrices, round_to_nearest
from softdiv.errors import PairError
from tests.pair.tiny_architectures import tiny_model


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("columns", [64, 100])
def test_error_is_at_most_half_a_step_of_each_group(kind: str, columns: int) -> None:
    weight = torch.randn(16, columns, generator=torch.Generator().manual_seed(0))
    rounded = round_to_nearest(weight, BITS[kind], 32)
    top = 2 ** (BITS[kind] - 1) - 1
    for before, after in zip(weight.split(32, 1), rounded.split(32, 1), strict=True):
        scale = before.abs().amax(1, keepdim=True) / top
        assert bool(((before - after).abs() <= scale * (0.5 + 1e-4)).all())
        levels = after / scale
        assert (levels - levels.round()).abs().max() < 1e-3
        assert levels.abs().max() <= top + 1e-3
    assert not torch.equal(weight, rounded)


def test_fewer_bits_err_more_and_rounding_twice_changes_little() -> None:
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    eight, four = (round_to_nearest(weight, bits, 64) for bits in (8, 4))
    assert (weight - four).norm() > 8 * (weight - eight).norm()
    assert torch.allclose(round_to_nearest(four, 4, 64), four, atol=1e-6)


def test_zeros_stay_zero_and_the_type_is_kept() -> None:
    weight = torch.zeros(2, 8, dtype=torch.bfloat16)
    rounded = round_to_nearest(weight, 4, 4)
    assert torch.equal(rounded, weight)
    assert rounded.dtype == torch.bfloat16


INSIDE = {"llama": ("proj",), "gpt2": ("c_attn.w", "c_proj.w", "c_fc.w"), "mixtral": ("_proj",)}
"""What the names of rounded weights hold."""


@pytest.mark.parametrize("architecture", INSIDE)
def test_every_matrix_of_the_layers_is_rounded_and_the_head_left_alone(architecture: str) -> None:
    model = tiny_model(architecture)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    rounded, every = quantize_matrices(model, "int4", 64)
    after = dict(model.named_parameters())
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert changed == {n for n in before if any(part in n for part in INSIDE[architecture])}
    assert rounded == sum(before[name].numel() for name in changed)
    assert every == sum(tensor.numel() for tensor in before.values())
    for name in changed:
        assert after[name].shape == before[name].shape
        assert (after[name] - before[name]).norm() < 0.2 * before[name].norm()


def test_rows_of_inputs_are_grouped_as_columns_are() -> None:
    linear, conv = nn.Linear(8, 4, bias=False), Conv1D(4, 8)
    conv.weight.data = linear.weight.data.T.clone()
    for model in (linear, conv):
        holder = nn.ModuleDict({"layer": model})
        # a model's method, which a plain container has not
        holder.get_output_embeddings = lambda: None  # type: ignore[assignment]
        quantize_matrices(holder, "int4", 4)
    assert torch.equal(conv.weight.T, linear.weight)


def test_rounding_that_would_change_nothing_is_refused() -> None:
    model: Any = nn.ModuleDict({"norm": nn.LayerNorm(4)})
    model.get_output_embeddings = lambda: None
    model.config = SimpleNamespace(model_type="stub")
    with pytest.raises(PairError, match="int8 would change nothing: a stub model"):
        quantize_matrices(model, "int8", 64)
