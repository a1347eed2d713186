"""attrs records out of JSON, equal to what was written.

The report's contract is for readers and drops what they do not need; this is for the next stage.
"""

from __future__ import annotations

import collections.abc
import functools
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import cattrs

from softdiv.errors import RunError
from softdiv.storage.atomic import read_json, read_json_lines
from softdiv.storage.plain import FLOAT, to_plain

T = TypeVar("T")
_PLAIN = {str, int, float, bool, type(None)}


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
        if set(value) == {FLOAT}:
            return float(value[FLOAT])
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value
