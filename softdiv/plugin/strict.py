"""A converter from plain tables to attrs classes that takes nothing for something else.

cattrs coerces by default (``3.9 -> 3``, ``true -> 1.0``, ``"12" -> 12``, ``"ab" -> ["a", "b"]``); a
config that says one thing must not run as another, so every value is checked instead.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from softdiv.errors import closest

MOST_PROBLEMS = 20
"""Problems named of one list or table."""


class WrongType(TypeError):
    """A value of another type than its key's; the message is the problem."""


class NoList(WrongType):
    """Something else where a list is wanted; the value says how to write one."""

    def __init__(self, value: Any) -> None:
        self.item = value
        super().__init__(f"expected a list, got {shown(value)}")


def _exactly(kind: type, name: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise WrongType(f"expected {name}, got {shown(value)}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise WrongType(f"expected a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WrongType(f"expected a finite number, got {shown(value)}")
    return number


def shown(value: Any) -> str:
    """A value as an error shows it: short, whatever it is, and what kind it is."""
    names = {
        bool: "boolean",
        str: "text",
        int: "integer",
        float: "number",
        list: "list",
        type(None): "null",
    }
    kind = "table" if isinstance(value, Mapping) else names.get(type(value), type(value).__name__)
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"one of some {value.bit_length() * 3 // 10:,} digits ({kind})"
    text = reprlib.repr(value) if isinstance(value, (Mapping, list, tuple)) else repr(value)
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
    converter.register_structure_hook_func(_is_list, _list_hook(converter))
    converter.register_structure_hook_func(_is_table, _table_hook(converter))
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
            raise WrongType(f"expected a table, got {shown(value)}")
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


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _literal(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if not any(type(value) is type(item) and value == item for item in allowed):
        hint = ""
        words = [item for item in allowed if isinstance(item, str)]
        if isinstance(value, str) and (near := closest(value, words)) is not None:
            hint = f"; did you mean '{near}'?"
        choices = ", ".join(repr(item) for item in allowed)
        raise WrongType(f"expected one of {choices}, got {shown(value)}{hint}")
    return value


def _is_optional(kind: Any) -> bool:
    args = get_args(kind)
    return len(args) == 2 and type(None) in args


_LISTS: Mapping[Any, Callable[[list[Any]], Any]] = {
    **{tuple: tuple, Sequence: tuple, list: list},
    **{set: set, frozenset: frozenset},
}


def _is_list(kind: Any) -> bool:
    origin, args = get_origin(kind) or kind, get_args(kind)
    return origin in _LISTS and (origin is not tuple or not args or args[-1] is ...)


def _list_hook(converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Text is no list of its letters, a table none of its keys."""

    def structure(value: Any, kind: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise NoList(value)
        inner = next(iter(get_args(kind)), Any)
        items = _each(converter, enumerate(value), inner, kind)
        return _LISTS[get_origin(kind) or kind]([item for _, item in items])

    return structure


def _is_table(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (dict, Mapping)


def _table_hook(converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise WrongType(f"expected a table, got {shown(value)}")
        _, inner = get_args(kind) or (str, Any)
        return dict(_each(converter, value.items(), inner, kind))

    return structure


def _each(
    converter: cattrs.Converter, items: Iterable[tuple[Any, Any]], inner: Any, kind: Any
) -> list[tuple[Any, Any]]:
    """(place, made) of every item. Raises a group of the first errors, each with its place."""
    made, errors = [], list[Exception]()
    for place, item in items:
        try:
            made.append((place, converter.structure(item, inner)))
        except Exception as error:  # whoever explains the group re-raises what it cannot
            note = IterableValidationNote("at a place", place, inner)
            notes = [*getattr(error, "__notes__", ()), note]
            error.__notes__ = notes  # type: ignore[attr-defined]  # add_note is of Python 3.11
            errors.append(error)
            if len(errors) == MOST_PROBLEMS:
                break
    if errors:
        raise IterableValidationError("in a list", errors, kind)
    return made


def _optional_hook(converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, kind: Any) -> Any:
        if value is None:
            return None
        (inner,) = (arg for arg in get_args(kind) if arg is not type(None))
        return converter.structure(value, inner)

    return structure
