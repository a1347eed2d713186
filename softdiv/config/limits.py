"""What no config holds: refused before anything looks into it, because a stranger may write one."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from softdiv.plugin.options import Problem
from softdiv.plugin.strict import shown

DEEPEST = 32
"""Tables and lists inside each other; softdiv's own configs have five."""
MOST = 20_000
"""Values in all, those that are named again counted again."""
LONGEST_KEY = 200
"""Characters."""
LARGEST = 2**63 - 1
"""What TOML promises to hold."""

_PLAIN = (str, bool, int, float, type(None), datetime.date, datetime.time)


def out_of_limits(table: Any) -> Problem | None:
    """The first thing in nested tables that no config holds; None if there is none."""
    for count, (path, value, depth) in enumerate(_values(table)):
        if count >= MOST:
            return Problem("", f"holds more than {MOST:,} values")
        if depth > DEEPEST:
            return Problem("", "nested too deeply, or holds itself")
        if message := _odd(value):
            return Problem(path, message)
    return None


def _values(table: Any) -> Iterator[tuple[str, Any, int]]:
    """(dotted path, value, depth) of everything, a table before what is in it."""
    waiting: list[tuple[str, Any, int]] = [("", table, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        yield path, value, depth
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}".lstrip("."), value[key], depth + 1) for key in value]
        elif isinstance(value, (list, tuple)):
            waiting += [(f"{path}[{i}]", item, depth + 1) for i, item in enumerate(value)]


def _odd(value: Any) -> str:
    if isinstance(value, Mapping):
        keys = [key for key in value if not isinstance(key, str)]
        if keys:
            return f"a key has to be text, got {shown(keys[0])}"
        if any(len(key) > LONGEST_KEY for key in value):
            return f"has a key of more than {LONGEST_KEY} characters"
        return next((message for key in value if (message := _odd_text(key))), "")
    if isinstance(value, str):
        return _odd_text(value)
    if isinstance(value, (list, tuple)):
        return ""
    if not isinstance(value, _PLAIN):
        return f"expected text, a number, true, false, a list or a table, got {shown(value)}"
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return f"must be at most {LARGEST:,}, got {shown(value)}"
    return ""


def _odd_text(text: str) -> str:
    if "\0" in text:
        return "holds a NUL, which no file name and no text has"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "holds half a character (a lone surrogate)"
    return ""
