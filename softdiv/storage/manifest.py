"""``manifest.json``: what a run folder says of itself, believed only as far as it is checked."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs.validators import and_, deep_mapping, ge, lt

from softdiv.errors import RunError
from softdiv.plugin.imports import LoadedPlugin
from softdiv.plugin.options import structure
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


def _files(_: Any, __: Any, value: Mapping[str, str]) -> None:
    for name, digest in value.items():
        if not is_plain(name):
            raise ValueError(f"{name!r}: expected a path inside the folder")
        if not _HASH.fullmatch(digest):
            raise ValueError(f"{name!r}: expected a sha256")


def _time(_: Any, __: Any, value: str) -> None:
    try:
        zone = datetime.datetime.fromisoformat(value).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError("expected a time in ISO 8601, with its zone")


def _facts(_: Any, __: Any, value: Mapping[str, Any]) -> None:
    if not _is_shallow(value):
        raise ValueError(f"expected at most {DEEPEST} levels")
    plugins = structure(tuple[LoadedPlugin, ...], value.get("plugins", []))
    if isinstance(plugins, list):
        raise ValueError(f"plugins{plugins[0].path}: {plugins[0].message}")


def _is_shallow(value: object, levels: int = DEEPEST) -> bool:
    if not isinstance(value, (dict, list)):
        return True
    items = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)


@attrs.frozen(kw_only=True)
class _Stage:
    finished: str
    files: Mapping[str, str] = attrs.field(validator=_files)
    seconds: float = attrs.field(default=0.0, validator=[ge(0), lt(1e12)])
    notes: tuple[str, ...] = ()
    ledger: Mapping[str, int] = attrs.field(
        default={}, validator=deep_mapping(value_validator=and_(ge(0), lt(1 << 63)))
    )


@attrs.frozen(kw_only=True)
class _Manifest:
    """The types that softdiv writes."""

    config_key: str
    created: str = attrs.field(validator=_time)
    facts: Mapping[str, Any] = attrs.field(validator=_facts)
    stages: Mapping[str, _Stage]
    config: Mapping[str, str] = attrs.field(default={}, validator=_files)
    continued: tuple[str, ...] = ()
    origin: str = ""


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
    found = structure(_Manifest, {k: v for k, v in table.items() if k != "schema_version"})
    if isinstance(found, list):
        raise RunError(f"{path} is damaged", why=f"{found[0].path}: {found[0].message}")
    return {**table, "schema_version": SCHEMA_VERSION}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write it with its seal. Raises DiskError."""
    write_sealed(folder / MANIFEST, manifest)
