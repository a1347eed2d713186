"""JSON that carries the sha256 of its own content: a changed bit is seen when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softdiv.errors import RunError
from softdiv.storage import atomic

SEAL = "sha256"
"""The key of the hash; it covers every other key."""


def write_sealed(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table atomically, with its seal. Raises DiskError."""
    plain = json.loads(atomic.to_json({**table, SEAL: ""}, indent=None))
    atomic.write_json(path, {**plain, SEAL: _sha256(plain)})


def read_sealed(path: Path) -> dict[str, Any]:
    """The table, without its seal.

    Raises:
        RunError: it is missing, damaged, no table, or not what was written.
    """
    return unsealed(path, atomic.read_json(path))


def unsealed(path: Path, table: Any) -> dict[str, Any]:
    """As :func:`read_sealed`, of what was read from ``path``."""
    if not isinstance(table, dict):
        raise RunError(f"{path} is damaged", why="it holds no table")
    try:
        found = _sha256(table)
    except RecursionError as error:
        raise RunError(f"{path} is damaged", why="it is nested too deeply") from error
    if table.get(SEAL) != found:
        raise RunError(f"{path} is damaged", why="it is not what was written")
    return {key: value for key, value in table.items() if key != SEAL}


def _sha256(table: Mapping[str, Any]) -> str:
    content = {key: value for key, value in table.items() if key != SEAL}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
