"""A ``state_dict``, of an observer or of a training's parts, as JSON and tensors, and back.

Nothing is pickled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from torch import Tensor

TENSOR = "$tensor"
FLOAT = "$float"


@attrs.frozen(kw_only=True, eq=False)
class PackedState:
    """A state that can be written to files."""

    plain: Any
    """JSON; tensors stand in it as ``{"$tensor": key}``"""
    tensors: Mapping[str, Tensor]
    """By their place in the state: ``"engine/prompt"``."""


def pack(state: Mapping[str, Any]) -> PackedState:
    """Nested tables and lists of numbers, text, booleans, None and tensors.

    Tuples come back as lists.

    Raises:
        TypeError: anything else is in it, or a key is no text.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict returned {type(state).__name__}, expected a dict")
    tensors: dict[str, Tensor] = {}
    return PackedState(plain=_packed(state, "", tensors), tensors=tensors)


def unpack(packed: PackedState) -> Any:
    """What :func:`pack` was given."""
    return _unpacked(packed.plain, packed.tensors)


def _packed(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        key = path if path not in tensors else f"{path}#{len(tensors)}"  # a key may have a slash
        tensors[key] = value.detach().cpu().clone()
        return {TENSOR: key}
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {FLOAT: repr(value)}
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str) or key in (TENSOR, FLOAT)]
        if wrong:
            raise TypeError(f"state_dict: key {wrong[0]!r} is not plain text")
        return {key: _packed(item, _at(path, key), tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(item, _at(path, i), tensors) for i, item in enumerate(value)]
    raise TypeError(f"state_dict: {path} is {type(value).__name__}, which cannot be kept")


def _at(path: str, key: object) -> str:
    return f"{path}/{key}" if path else str(key)


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {TENSOR}:
        return tensors[value[TENSOR]].clone()
    if set(value) == {FLOAT}:
        return float(value[FLOAT])
    return {key: _unpacked(item, tensors) for key, item in value.items()}
