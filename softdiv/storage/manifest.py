"""``manifest.json``: what a run folder says of itself, believed only as far as it is checked."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softdiv.errors import RunError
from softdiv.storage import atomic
from softdiv.storage.folder import is_plain, refuse_strange
from softdiv.storage.names import MANIFEST
from softdiv.storage.refusal import refusal
from softdiv.storage.sealed import unsealed, write_sealed

SCHEMA_VERSION = 2
LARGEST = 1 << 24
"""Bytes; a run's has some thousands."""
DEEPEST = 8
"""Levels of tables and lists in ``facts``."""
_HASH = re.compile(r"[0-9a-f]{64}")
_PLUGIN = ("name", "distribution", "version", "path", "sha256")


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the folder says of itself; its keys have the types that softdiv writes.

    Raises:
        RunError: it is no run folder, holds a link out of itself, was written by another schema,
            or its manifest is damaged.
        DiskError: it cannot be read.
    """
    path = folder / MANIFEST
    with refusal(path, "read"):
        if not path.exists():
            raise RunError(f"{folder} is not a softdiv run", why=f"it has no {MANIFEST}")
        refuse_strange(folder)
        if path.stat().st_size > LARGEST:
            raise RunError(f"{path} is damaged", why=f"it is larger than {LARGEST >> 20} MiB")
    table = atomic.read_json(path)
    version = table.get("schema_version") if isinstance(table, dict) else None
    if type(version) is not int:
        raise RunError(f"{path} is damaged", why="schema_version: expected a whole number")
    if version not in (SCHEMA_VERSION, SCHEMA_VERSION - 1):
        raise RunError(
            f"run {folder} has schema version {version}", why=f"this softdiv reads {SCHEMA_VERSION}"
        )
    if version == SCHEMA_VERSION:
        table = unsealed(path, table)
    try:
        _check(table)
    except ValueError as error:
        raise RunError(f"{path} is damaged", why=str(error)) from error
    return {**table, "schema_version": SCHEMA_VERSION}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write it with its seal. Raises DiskError."""
    write_sealed(folder / MANIFEST, manifest)


def _check(table: Mapping[str, Any]) -> None:
    """Raises ValueError naming the key that is not as softdiv writes it."""
    _need(_is_text(table.get("config_key")), "config_key", "text")
    _need(_is_time(table.get("created")), "created", "a time in ISO 8601")
    _files(table.get("config", {}), "config")
    _need(_is_texts(table.get("continued", [])), "continued", "a list of texts")
    _need(_is_text(table.get("origin", "")), "origin", "text")
    facts = _table(table.get("facts"), "facts")
    _need(_is_shallow(facts), "facts", f"at most {DEEPEST} levels")
    plugins = facts.get("plugins", [])
    _need(isinstance(plugins, list), "facts.plugins", "a list")
    for plugin in plugins:
        words = [_table(plugin, "facts.plugins").get(key) for key in _PLUGIN]
        _need(_is_texts(words), "facts.plugins", f"{', '.join(_PLUGIN)}")
    for name, entry in _table(table.get("stages"), "stages").items():
        _stage(_table(entry, f"stages.{name}"), f"stages.{name}")


def _stage(entry: Mapping[str, Any], where: str) -> None:
    _need(_is_text(entry.get("finished")), f"{where}.finished", "text")
    _files(entry.get("files"), f"{where}.files")
    seconds = entry.get("seconds", 0)
    _need(type(seconds) in (int, float) and 0 <= seconds < 1e12, f"{where}.seconds", "seconds")
    _need(_is_texts(entry.get("notes", [])), f"{where}.notes", "a list of texts")
    spent = _table(entry.get("ledger", {}), f"{where}.ledger").values()
    whole = all(type(count) is int and 0 <= count < 1 << 63 for count in spent)
    _need(whole, f"{where}.ledger", "whole numbers")


def _files(value: object, where: str) -> None:
    for name, digest in _table(value, where).items():
        _need(is_plain(name), f"{where}: {name!r}", "a path inside the folder")
        _need(_is_text(digest) and bool(_HASH.fullmatch(digest)), f"{where}: {name!r}", "a sha256")


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a table")
    return value


def _need(holds: bool, where: str, expected: str) -> None:
    if not holds:
        raise ValueError(f"{where}: expected {expected}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_shallow(value: object, levels: int = DEEPEST) -> bool:
    if not isinstance(value, (dict, list)):
        return True
    items = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)


def _is_time(value: object) -> bool:
    try:
        return datetime.datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
