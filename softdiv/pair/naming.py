"""What a pair is called where its config gives it no name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softdiv.config.component import LoaderConfig
from softdiv.config.redact import redacted


def pair_name(model_1: LoaderConfig | None, model_2: LoaderConfig | None) -> str:
    """``base-vs-tuned``: the ends of both paths, as long as it takes to tell them apart.

    Where one path is given twice, the options that differ follow: ``base-vs-base revision=v2``.
    """
    tables = [redacted(model.to_dict()) if model else {} for model in (model_1, model_2)]
    one, two = (_path(table) for table in tables)
    ends, depth = ("", ""), 0
    while ends[0] == ends[1] and depth < max(len(one), len(two)):
        depth += 1
        ends = ("/".join(one[-depth:]), "/".join(two[-depth:]))
    if one == two:
        ends = (one[-1], one[-1])
    first, second = (
        f"{end}{_own(table, other)}" if one == two else end
        for end, table, other in zip(ends, tables, reversed(tables), strict=True)
    )
    return f"{first}-vs-{second}"


def model_name(table: Mapping[str, Any] | None) -> str:
    """What a loader's table loads, for a reader: ``base.gguf, adapter tuned``; of paths the end."""
    if not table:
        return "given in Python"
    rest = dict(table)
    keys = [key for key in ("gguf_file", "path") if rest.get(key)]
    base = _end(rest[keys[0]]) if keys else str(rest.get(LoaderConfig.KEY))
    for key in (*keys, LoaderConfig.KEY):
        rest.pop(key, None)
    return ", ".join([base, *(f"{key} {_end(value)}" for key, value in rest.items())])


def _end(value: object) -> str:
    """Of a file's path the name; all of a hub's ``organisation/name``."""
    text = str(value)
    return text.rstrip("/").rpartition("/")[2] if text.startswith(("/", "~", ".")) else text


def _path(table: Mapping[str, Any]) -> list[str]:
    keys = ("adapter", "quantize", "path", LoaderConfig.KEY)
    found = next((table[key] for key in keys if table.get(key)), "")
    return str(found).rstrip("/").split("/")


def _own(table: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Options that the other model does not have like this."""
    return "".join(f" {key}={value}" for key, value in table.items() if other.get(key) != value)
