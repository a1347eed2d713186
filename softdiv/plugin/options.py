"""Strict construction of attrs classes from plain tables, with every problem at its key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)

from softdiv.errors import ConfigError, did_you_mean
from softdiv.plugin.strict import MOST_PROBLEMS, NoList, WrongType, shown, strict_converter

T = TypeVar("T")


@attrs.frozen
class Problem:
    """One thing wrong at one key; ``path`` is dotted, with ``[i]`` for list items."""

    path: str
    message: str


def structure(kind: type[T], table: Mapping[str, Any]) -> T | list[Problem]:
    """``kind`` built from ``table``, or every problem found in it."""
    converter = strict_converter()
    try:
        return converter.structure(table, kind)
    except Exception as error:  # cattrs raises groups; _problems re-raises what it cannot explain
        return _problems(error, "", kind)


def build_options(factory: Callable[..., T], options: Mapping[str, Any], *, where: str) -> T:
    """A component from its options.

    Raises:
        ConfigError: every unknown, missing or mistyped option, each on its own line.
    """
    made = structure(factory, options)  # type: ignore[arg-type]  # factories are attrs classes
    if isinstance(made, list):
        raise ConfigError([f"{where}: {p.path + ': ' if p.path else ''}{p.message}" for p in made])
    return made


def _problems(error: BaseException, path: str, kind: Any) -> list[Problem]:
    if isinstance(error, ClassValidationError):
        found: list[Problem] = []
        for child, note in _with_notes(error):
            if isinstance(child, ForbiddenExtraKeysError):
                extra = sorted(child.extra_fields, key=str)
                found += [_unknown(path, key, child.cl) for key in extra[:MOST_PROBLEMS]]
                if len(extra) > MOST_PROBLEMS:
                    more = len(extra) - MOST_PROBLEMS
                    found.append(Problem(path, f"{more} more unknown keys"))
            elif note is None:
                found += _problems(child, path, error.cl)
            else:
                found += _problems(child, f"{path}.{note}".lstrip("."), error.cl)
        return found
    if isinstance(error, IterableValidationError):
        return [
            problem
            for child, note in _with_notes(error)
            for problem in _problems(child, path if note is None else f"{path}[{note}]", kind)
        ]
    if isinstance(error, KeyError):
        return [Problem(path, "is required")]
    if isinstance(error, NoList) and not isinstance(error.item, (Mapping, type(None))):
        key = path.rpartition(".")[2]
        return [Problem(path, f"{error}; give a list: {key} = [{_toml(error.item)}]")]
    if isinstance(error, (ValueError, TypeError)):
        return [Problem(path, _message(error))]
    raise error


def _with_notes(group: Any) -> list[tuple[BaseException, Any]]:
    noted, bare = group.group_exceptions()
    named = [(child, getattr(note, "name", getattr(note, "index", None))) for child, note in noted]
    return [*named, *((child, None) for child in bare)]


def _unknown(path: str, key: str, cls: type) -> Problem:
    known = [field.alias for field in attrs.fields(cls) if field.init]
    return Problem(f"{path}.{key}".lstrip("."), f"unknown key; {did_you_mean(key, known)}")


def _toml(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, (str, bool)) else shown(value).split(" (")[0]
    return text if len(text) <= 60 else "..."


def _message(error: Exception) -> str:
    if isinstance(error, WrongType):
        return str(error)
    text = str(error.args[0]) if error.args else str(error)
    return text.splitlines()[0] if text else type(error).__name__
