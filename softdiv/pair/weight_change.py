"""Where model_2's matrices differ from model_1's, as small factors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from softdiv.errors import PairError
from softdiv.pair.layers import decoder_layers
from softdiv.pair.manager import ModelPair

RANK = 64
"""Up to here a difference is kept as two factors' worth of rows; beyond it is kept whole."""
ROUNDING = 20 * torch.finfo(torch.float32).eps
"""Of the matrix's own output: a difference below it is none."""


@attrs.frozen(eq=False)
class MatrixChange:
    """One matrix that reads its layer's states, and how far model_2's moves what it reads."""

    layer: int
    name: str
    """inside the layer"""
    module: nn.Module
    """model_1's"""
    rows: Tensor
    """``[r, H]``: ``|rows @ x|`` is the length of ``(W_2 - W_1) x``"""


def matrix_changes(pair: ModelPair) -> Iterator[MatrixChange]:
    """Every linear map inside the decoder layers that differs between the two models.

    A difference is measured at the maps' outputs, so that it does not matter how either keeps
    its weights: an adapter beside them, rounded, or a whole fine-tune. Biases are left out.

    Raises:
        PairError: the layers of the two models do not have the same matrices.
    """
    if pair.lockstep is not None:
        raise PairError("the models' weights are spread over several processes")
    layers = [decoder_layers(wrapper.model) for wrapper in (pair.model_1, pair.model_2)]
    names = [[list(_linear_maps(layer)) for layer in side] for side in layers]
    if names[0] != names[1]:
        raise PairError("the layers of the two models do not have the same matrices")
    for number, (one, two) in enumerate(zip(*layers, strict=True)):
        for name, width in _linear_maps(one):
            module = one.get_submodule(name)
            rows = _difference(module, two.get_submodule(name), width)
            if rows is not None:
                yield MatrixChange(number, name, module, rows)


def _linear_maps(layer: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and input width of each; an adapter's own parts belong to the map they change."""
    found: list[str] = []
    for name, module in layer.named_modules():
        width = getattr(module, "in_features", getattr(module, "nx", None))  # nx: GPT-2's Conv1D
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(width, int) and not inside:
            found.append(name)
            yield name, width


def _difference(one: nn.Module, two: nn.Module, width: int) -> Tensor | None:
    """``[r, width]``, None where the two maps are equal up to rounding."""
    dtype, device = next((p.dtype, p.device) for p in one.parameters())
    one, two = _single(one), _single(getattr(two, "unmerged", (two,))[0])

    def moved(x: Tensor) -> Tensor:
        found: Tensor = two(x).float() - one(x).float()
        return found

    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(RANK + 1, width, generator=generator).to(device, _reads(one))
    with torch.no_grad():
        at_zero = moved(torch.zeros_like(probe[:1]))  # what the biases alone do
        shifts = moved(probe) - at_zero
        own = float(one(probe).float().norm(dim=-1).max())
        _, sizes, directions = torch.linalg.svd(shifts, full_matrices=False)
    if not float(sizes[0]) > ROUNDING * own:
        return None
    rank = int((sizes > max(1e-4 * float(sizes[0]), ROUNDING * own)).sum())
    basis = directions[:rank] if rank <= RANK else torch.eye(shifts.shape[1], device=device)
    with torch.enable_grad():
        x = torch.zeros(len(basis), width, device=device, dtype=probe.dtype, requires_grad=True)
        (rows,) = torch.autograd.grad(moved(x), x, basis)
    return rows.to(dtype if dtype.is_floating_point else torch.float32)


def _single(module: nn.Module) -> nn.Module:
    """A copy in fp32 where the weights are plain floats: 16 bits would round the difference off."""
    floats = {p.dtype for p in module.parameters()} | {b.dtype for b in module.buffers()}
    if floats <= {torch.float16, torch.bfloat16, torch.float32} and floats != {torch.float32}:
        return copy.deepcopy(module).float()
    return module


def _reads(module: nn.Module) -> Any:
    floats = {p.dtype for p in module.parameters() if p.is_floating_point()}
    return next(iter(floats)) if len(floats) == 1 else torch.float32
