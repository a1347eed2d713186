"""Round-to-nearest weight quantisation and noise, simulated: any device, no dependency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from softdiv.errors import PairError

BITS = {"int8": 8, "int4": 4}


def round_to_nearest(weight: Tensor, bits: int, group_size: int) -> Tensor:
    """``[out, in]`` weights rounded to symmetric ``bits``-bit integers per group of inputs.

    Each group of ``group_size`` inputs (the last may be shorter) has one scale, its largest
    magnitude over ``2^(bits-1) - 1``. Returns the dequantised weights in the same dtype.
    """
    top = 2 ** (bits - 1) - 1
    groups = []
    for group in weight.float().split(group_size, dim=1):
        scale = group.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / top
        groups.append((group / scale).round().clamp(-top, top) * scale)
    return torch.cat(groups, dim=1).to(weight.dtype)


def quantize_matrices(model: Any, kind: str, group_size: int) -> tuple[int, int]:
    """Replace the weights of every linear layer and expert but the output head's.

    Embeddings, norms, routers that are no linear layers, and biases stay as they are, and shared.

    Returns:
        How many weights are rounded, and how many the model has.

    Raises:
        PairError: the model has none that could be.
    """
    rounded = 0
    for module, name, transposed in matrices(model):
        weight = getattr(module, name).detach()
        flat = (weight.mT if transposed else weight).flatten(0, -2)
        new = round_to_nearest(flat, BITS[kind], group_size)
        new = new.unflatten(0, (weight.mT if transposed else weight).shape[:-1])
        new = (new.mT if transposed else new).contiguous()
        setattr(module, name, nn.Parameter(new, requires_grad=False))
        rounded += weight.numel()
    if not rounded:
        raise PairError(
            f"{kind} would change nothing",
            why=f"a {model.config.model_type} model has no linear layers that softdiv can round",
            fix="leave quantize out",
        )
    return rounded, sum(p.numel() for p in model.parameters())


def add_noise(model: Any, share: float, seed: int) -> None:
    """Add Gaussian noise of this share of its own norm to every matrix that rounding would round.

    A difference of an adapter's size without anything learnt: a null.
    """
    generator = torch.Generator().manual_seed(seed)
    for module, name, _ in matrices(model):
        weight = getattr(module, name).detach()
        noise = torch.randn(weight.shape, generator=generator).to(weight)
        size = share * weight.float().norm() / weight.numel() ** 0.5
        noisy = weight + noise * size.to(weight.dtype)
        setattr(module, name, nn.Parameter(noisy, requires_grad=False))


def matrices(model: Any) -> Iterator[tuple[nn.Module, str, bool]]:
    """Module, name of its weight, and whether inputs stand in rows (GPT-2's ``Conv1D``).

    A mixture keeps its experts as one tensor ``[E, ., .]``; its groups run along the last axis.
    """
    head = model.get_output_embeddings()
    for module in model.modules():
        if module is head:
            continue
        if isinstance(module, (nn.Linear, Conv1D)):
            yield module, "weight", isinstance(module, Conv1D)
        elif not isinstance(module, nn.modules.conv._ConvNd):
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.dim() == 3 and len(parameter) > 1 and parameter.is_floating_point():
                    yield module, name, False
