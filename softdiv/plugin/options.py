"""Strict construction of attrs classes from plain tables.

cattrs coerces by default (``3.9 -> 3``, ``true -> 1.0``, ``"12" -> 12``); a config that
says one thing must not run as another, so every scalar is checked instead.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn, override

from softdiv.errors import ConfigError, did_you_mean

T = TypeVar("T")


@attrs.frozen
class Problem:
    """One thing wrong at one key; ``path`` is dotted, with ``[i]`` for list items."""

    path: str
    message: str


class _WrongType(TypeError):
    pass


def _exactly(kind: type, name: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise _WrongType(f"expected {name}, got {_shown(value)}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise _WrongType(f"expected a number, got {_shown(value)}")
    if not math.isfinite(value):
        raise _WrongType(f"expected a finite number, got {_shown(value)}")
    return float(value)


def _shown(value: Any) -> str:
    names = {bool: "boolean", str: "text", int: "integer", float: "number", list: "list"}
    kind = "table" if isinstance(value, Mapping) else names.get(type(value), type(value).__name__)
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({kind})"


def strict_converter() -> cattrs.Converter:
    """A converter that coerces nothing and refuses unknown keys."""
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(int, _exactly(int, "an integer"))
    converter.register_structure_hook(str, _exactly(str, "text"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(_is_optional, _optional_hook(converter))
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_func(_is_table, _table)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_structure_hook_func(
        lambda kind: hasattr(kind, "from_table"), lambda value, kind: kind.from_table(value)
    )
    return converter


def _class_hook(kind: Any, converter: cattrs.Converter) -> Any:
    """Validators run key by key: left to the constructor, the first would hide the others."""
    attrs.resolve_types(kind)
    checked = {
        field.name: override(struct_hook=_checked(field, converter))
        for field in attrs.fields(kind)
        if field.init and field.validator is not None
    }
    build = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, **checked)  # type: ignore[arg-type]

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _WrongType(f"expected a table, got {_shown(value)}")
        return build(value, _)

    return structure


def _checked(field: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        made = converter.structure(value, field.type)
        try:
            field.validator(None, field, made)
        except AttributeError:
            return made  # a validator that needs the whole object: the constructor runs it
        return made

    return structure


def _is_table(kind: Any) -> bool:
    return get_origin(kind) is Mapping and get_args(kind) == (str, Any)


def _table(value: Any, _: Any) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _WrongType(f"expected a table, got {_shown(value)}")
    return dict(value)


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _literal(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if not any(type(value) is type(item) and value == item for item in allowed):
        hint = ""
        words = [item for item in allowed if isinstance(item, str)]
        if isinstance(value, str) and (close := difflib.get_close_matches(value, words, n=1)):
            hint = f"; did you mean '{close[0]}'?"
        choices = ", ".join(repr(item) for item in allowed)
        raise _WrongType(f"expected one of {choices}, got {_shown(value)}{hint}")
    return value


def _is_optional(kind: Any) -> bool:
    args = get_args(kind)
    return len(args) == 2 and type(None) in args


def _optional_hook(converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, kind: Any) -> Any:
        if value is None:
            return None
        (inner,) = (arg for arg in get_args(kind) if arg is not type(None))
        return converter.structure(value, inner)

    return structure


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
                found += [_unknown(path, key, child.cl) for key in sorted(child.extra_fields)]
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
    if isinstance(error, (ValueError, TypeError)):
        return [Problem(path, _message(error))]
    raise error


def _with_notes(group: Any) -> list[tuple[BaseException, Any]]:
    noted, bare = group.group_exceptions()
    named = [(child, getattr(note, "name", getattr(note, "index", None))) for child, note in noted]
    return [*named, *((child, None) for child in bare)]


def _unknown(path: str, key: str, cls: type) -> Problem:
    known = [field.alias for field in attrs.fields(cls)]
    return Problem(f"{path}.{key}".lstrip("."), f"unknown key; {did_you_mean(key, known)}")


def _message(error: Exception) -> str:
    if isinstance(error, _WrongType):
        return str(error)
    text = str(error.args[0]) if error.args else str(error)
    return text.splitlines()[0] if text else type(error).__name__
