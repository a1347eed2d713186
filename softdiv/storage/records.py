"""attrs records as JSON and back, equal to what was written.

The report's contract is for readers and drops what they do not need; this is for the next stage.
"""

from __future__ import annotations

import collections.abc
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs
import cattrs

from softdiv.errors import RunError
from softdiv.storage.atomic import read_json, read_json_lines

T = TypeVar("T")
_PLAIN = {str, int, float, bool, type(None)}
_FLOAT = "float"
"""JSON has no NaN and no infinity; they are written as ``{"float": "nan"}``."""


def _tagged(number: float) -> dict[str, str]:
    return {_FLOAT: str(number)}


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
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if hasattr(value, "tolist"):  # NumPy scalars and arrays
            return plain(value.tolist())
        raise TypeError(f"{type(value).__name__} cannot be written as a record")

    return plain(value)


def from_plain(kind: type[T], value: Any) -> T:
    """A record of ``kind``; sequences become tuples. Raises cattrs errors."""
    return _converter().structure(value, kind)


def as_read_back(kind: type[T], value: T) -> T:
    """What a later stage will read of ``value``.

    Raises:
        TypeError, ValueError: it cannot be written, or would not be read.
    """
    try:
        return from_plain(kind, to_plain(value))
    except cattrs.BaseValidationError as error:
        raise ValueError(cattrs.transform_error(error, path="it")[0]) from error


def read_record(path: Path, kind: type[T]) -> T:
    """The record in a file of :func:`to_plain`.

    Raises:
        RunError: the file is missing, damaged, or of another version of softdiv.
    """
    return _structured(path, read_json(path), kind)


def read_records(path: Path, kind: type[T]) -> tuple[T, ...]:
    """The records in a JSONL file, one a line. Raises RunError as :func:`read_record`."""
    return tuple(_structured(path, line, kind) for line in read_json_lines(path))


def _structured(path: Path, table: Any, kind: type[T]) -> T:
    try:
        return from_plain(kind, table)
    except RecursionError as error:
        raise RunError(f"{path} is damaged", why="it is nested too deeply") from error
    except Exception as error:  # the classes and hooks raise anything over what they did not expect
        raise RunError(
            f"{path} does not hold what this version of softdiv expects",
            why=cattrs.transform_error(error, path="it")[0],
            fix="repeat the stage that wrote it with --force",
        ) from error


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook_func(
        _is_sequence,
        lambda value, kind: tuple(converter.structure(v, get_args(kind)[0]) for v in value),
    )
    converter.register_structure_hook_func(_is_plain_union, lambda value, _: _decoded(value))
    converter.register_structure_hook_func(lambda kind: kind is Any, lambda v, _: _decoded(v))
    converter.register_structure_hook(float, lambda value, _: float(_decoded(value)))
    return converter


def _is_sequence(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is collections.abc.Sequence


def _is_plain_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and set(get_args(kind)) <= _PLAIN


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_FLOAT}:
            return float(value[_FLOAT])
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value
