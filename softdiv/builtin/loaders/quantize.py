"""Round-to-nearest weight quantisation, simulated: any device, no dependency, real error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

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


def quantize_linears(model: Any, kind: str, group_size: int) -> None:
    """Replace the weights of every linear layer but the output head; other tensors stay shared."""
    head = model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, nn.Linear) and module is not head:
            rounded = round_to_nearest(module.weight.detach(), BITS[kind], group_size)
            module.weight = nn.Parameter(rounded, requires_grad=False)
