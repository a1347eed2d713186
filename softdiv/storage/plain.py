"""Anything that softdiv writes down, as JSON values; nested tables as one of dotted keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

FLOAT = "float"
"""JSON has no NaN and no infinity; they are written as ``{"float": "nan"}``."""


def _tagged(number: float) -> dict[str, str]:
    return {FLOAT: str(number)}


def to_plain(
    value: Any, *, text: Callable[[str], str] = str, strange: Callable[[float], Any] = _tagged
) -> Any:
    """JSON values only.

    Args:
        text: what becomes of a text.
        strange: what becomes of a number that is not finite; by default it is read back.

    Raises:
        TypeError: it is neither a record nor plain.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Enum):  # PEFT's kinds are texts too, of another wording
            return plain(value.value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else strange(value)
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, (str, Path)):
            return text(str(value))
        if attrs.has(type(value)):
            names = [field.name for field in attrs.fields(type(value))]
            return {name: plain(getattr(value, name)) for name in names}
        if isinstance(value, Mapping):
            return {text(str(key)): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            items = sorted(value) if isinstance(value, (set, frozenset)) else value
            return [plain(item) for item in items]
        if hasattr(value, "tolist"):  # NumPy scalars and arrays
            return plain(value.tolist())
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")

    return plain(value)


def dotted(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``; lists are values, because their order means
    something."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= dotted(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
