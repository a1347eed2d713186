"""A component's options as a user meets them: name, type, default, meaning."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable
from typing import Any

import attrs


@attrs.frozen
class Option:
    """One key of a component's table in TOML."""

    name: str
    type: str
    default: str
    """As written in TOML; "required" and "none" stand for no default and for None."""
    meaning: str


def options_of(factory: Callable[..., Any]) -> tuple[Option, ...]:
    """The factory's attrs fields, in their order."""
    if not (isinstance(factory, type) and attrs.has(factory)):
        return ()
    meanings = field_docs(factory)
    return tuple(
        Option(
            name=field.alias,
            type=_type(field.type),
            default=_default(field),
            meaning=field.metadata.get("meaning") or meanings.get(field.name, ""),
        )
        for field in attrs.fields(factory)
        if field.init
    )


def summary_of(factory: object) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(factory) or "").partition("\n")[0]


def field_docs(cls: type) -> dict[str, str]:
    """Field -> the string that stands below it in the class body, base classes included."""
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except (OSError, TypeError):
            continue  # no source, e.g. object itself
        (body,) = (n.body for n in ast.parse(source).body if isinstance(n, ast.ClassDef))
        for node, after in itertools.pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                found[node.target.id] = " ".join(after.value.value.split())
    return found


def _type(kind: Any) -> str:
    return kind if isinstance(kind, str) else inspect.formatannotation(kind)


def _default(field: Any) -> str:
    value = field.default
    if value is attrs.NOTHING:
        return "required"
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        value = value.factory() if not value.takes_self else None
    if value is None:
        return "none"
    import tomlkit

    try:
        return str(tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string())
    except (ValueError, TypeError):
        return repr(value)
