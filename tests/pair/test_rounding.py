"""int8 and int4: the rounding error is what round-to-nearest allows, and no more."""

from __future__ import annotations

import pytest
import torch

from softdiv.builtin.loaders.quantize import BITS, quantize_linears, round_to_nearest
from softdiv.builtin.loaders.tiny import TinyLoader


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


def test_the_head_is_left_alone() -> None:
    model, _ = TinyLoader().load("cpu")
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    quantize_linears(model, "int4", 64)
    changed = {n for n, t in model.named_parameters() if not torch.equal(t, before[n])}
    assert changed == {name for name in before if "proj" in name}
