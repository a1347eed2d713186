"""Line numbers of keys, so that every config problem can say ``file:line``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

LONGEST = 1000
"""Characters of a line that is looked at."""
_HEADER = re.compile(r"^\s*\[{1,2}\s*([\w.\-\"' ]+?)\s*\]{1,2}\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w\-\"'.]+(?:\s*\.\s*[\w\-\"']+)*)\s*=")


def toml_lines(text: str) -> dict[str, int]:
    """Dotted key -> 1-based line. Keys inside an inline table share their table's line."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in _short_lines(text):
        if header := _HEADER.match(line):
            table = _clean(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{table}.{_clean(key[1])}".lstrip("."), number)
    return lines


def yaml_lines(text: str) -> dict[str, int]:
    """Dotted key -> 1-based line, of text that can be read; items of a list share their path."""
    import yaml

    lines: dict[str, int] = {}
    waiting, seen = [("", yaml.compose(text, yaml.SafeLoader))], set[int]()
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:  # it is named again, perhaps inside itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(path, item) for item in reversed(node.value)]
        elif isinstance(node, yaml.MappingNode):
            keys = [(f"{path}.{key.value}".lstrip("."), key, value) for key, value in node.value]
            for inner, key, _ in keys:
                lines.setdefault(inner, key.start_mark.line + 1)
            waiting += [(inner, value) for inner, _, value in reversed(keys)]
    return lines


def _short_lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered from 1; the patterns take the square of a line's length, or its cube."""
    lines = enumerate(text.split("\n"), start=1)
    return ((number, line) for number, line in lines if len(line) <= LONGEST)


def locator(source: str, lines: Mapping[str, int]) -> Callable[[str], str]:
    """``path -> "file:line"`` for the deepest part of the path that has a line."""

    def where(path: str) -> str:
        bare = re.sub(r"\[\d+\]", "", path)
        while bare:
            if bare in lines:
                return f"{source}:{lines[bare]}"
            bare = bare.rpartition(".")[0]
        return source

    return where


def _clean(name: str) -> str:
    return re.sub(r"[\s\"']", "", name)
