"""An observer's ``state_dict`` as JSON and tensors, and back. Nothing is pickled."""

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
class ObserverStates:
    """What observers want kept, by the name they have in the config."""

    plain: Mapping[str, Any] = attrs.field(factory=dict)
    """JSON; tensors stand in it as ``{"$tensor": key}``"""
    tensors: Mapping[str, Tensor] = attrs.field(factory=dict)


def pack(name: str, state: Mapping[str, Any]) -> ObserverStates:
    """Nested tables and lists of numbers, text, booleans, None and tensors.

    Tuples come back as lists.

    Raises:
        TypeError: anything else is in it, or a key is no text.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict returned {type(state).__name__}, expected a dict")
    tensors: dict[str, Tensor] = {}
    return ObserverStates(plain={name: _packed(state, name, tensors)}, tensors=tensors)


def unpack(states: ObserverStates, name: str) -> Any:
    """What :func:`pack` was given."""
    return _unpacked(states.plain[name], states.tensors)


def _packed(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().clone()
        return {TENSOR: path}
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {FLOAT: repr(value)}
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str) or key in (TENSOR, FLOAT)]
        if wrong:
            raise TypeError(f"state_dict: key {wrong[0]!r} in {path} is not plain text")
        return {key: _packed(item, f"{path}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
    raise TypeError(f"state_dict: {path} is {type(value).__name__}, which cannot be kept")


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
