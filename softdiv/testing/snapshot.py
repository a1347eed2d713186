"""Values as nested tuples that compare bit by bit, so that NaN equals NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import attrs


def snapshot(value: Any) -> Any:
    """A comparable copy that later changes to ``value`` do not reach."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        inside = tuple((f.name, snapshot(getattr(value, f.name))) for f in fields)
        return (type(value).__qualname__, inside)
    if isinstance(value, Mapping):
        return tuple((repr(key), snapshot(item)) for key, item in value.items())
    if isinstance(value, (str, bytes, bool, int, type(None))):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Set):
        return frozenset(snapshot(item) for item in value)
    if isinstance(value, Sequence):
        return tuple(snapshot(item) for item in value)
    if hasattr(value, "detach"):
        return _of_tensor(value)
    return repr(value)


def _of_tensor(tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return str(tensor.dtype), tuple(tensor.shape), data
