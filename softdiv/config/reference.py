"""Every key with its default and meaning, as the text of ``configs/full.toml``."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

from softdiv.config.component import ComponentConfig
from softdiv.config.schema import SECTIONS, Schema

_HEADER = """\
# Every key softdiv knows, with its default and meaning. Keys that are unset by default are
# commented out. Options of loaders, processors, metrics and the like: softdiv plugins show loaders
# (sources, token_metrics, ...: softdiv plugins list --all).
# Generated: python -m softdiv.config.reference > configs/full.toml
"""


def full_toml() -> str:
    """A config equal to the defaults, every line commented."""
    lines = [_HEADER]
    lines += _keys(Schema(), skip=SECTIONS)
    for name in SECTIONS:
        lines += _section(name, getattr(Schema(), name))
    return "\n".join(lines) + "\n"


def commented(config: Schema, header: str) -> str:
    """A config equal to ``config``: what differs from the defaults, every key commented."""
    usual, lines = Schema(), [header]
    lines += _keys(config, skip=SECTIONS, usual=usual)
    for name in SECTIONS:
        lines += _section(name, getattr(config, name), getattr(usual, name))
    return "\n".join(lines) + "\n"


def _section(name: str, section: Any, usual: Any = None) -> list[str]:
    """A table, its keys, then the tables inside it; without ``usual``, or where it differs."""
    if section == usual:
        return []
    inner = {
        field.name: getattr(section, field.name)
        for field in attrs.fields(type(section))
        if attrs.has(type(getattr(section, field.name)))
        and not isinstance(getattr(section, field.name), ComponentConfig)
    }
    lines = ["", f"# {(type(section).__doc__ or '').splitlines()[0]}", f"[{name}]"]
    lines += _keys(section, skip=tuple(inner), usual=usual)
    for key, table in inner.items():
        lines += _section(f"{name}.{key}", table, usual and getattr(usual, key))
    return lines


def _keys(table: Any, skip: tuple[str, ...] = (), usual: Any = None) -> list[str]:
    lines = []
    for field in attrs.fields(type(table)):
        if field.name in skip:
            continue
        if usual is not None and getattr(table, field.name) == getattr(usual, field.name):
            continue
        value, meaning = getattr(table, field.name), field.metadata["meaning"]
        lines.append(f"# {meaning}")
        if value is None:
            lines.append(f"# {field.name} =")
        else:
            lines.append(f"{field.name} = {_toml(value)}")
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, ComponentConfig):
        value = value.to_dict()
    if isinstance(value, dict):
        if not value:
            return "{}"
        pairs = (f"{_key(key)} = {_toml(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    """A string of JSON is one of TOML, which wants one more character escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


if __name__ == "__main__":
    import sys

    sys.stdout.write(full_toml())
