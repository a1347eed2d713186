"""Values as nested tuples that compare bit by bit, so that NaN equals NaN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
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


def texts(value: Any) -> Iterator[str]:
    """Every string inside a record."""
    if isinstance(value, str):
        yield value
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, (Sequence, Set)):
        for item in value:
            yield from texts(item)
