"""Was this run folder made here? Then the plugins its config names were declared by this user.

A config that a user gives to a command is a declaration; the ``config.toml`` in a run folder is
one only where the run was made by the same user: a stranger's would choose what is imported. So a
new run whose config names plugins is marked with a key that stays in the user's cache.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from softdiv.errors import PluginError, RunError
from softdiv.plugin.declared import declared, disabled
from softdiv.storage.cache import cache_root
from softdiv.storage.names import CONFIG

KEY = "origin.key"
"""In the cache: 32 random bytes, readable by the user alone."""


def mark(config_sha256: str) -> str | None:
    """What to keep in the manifest of a new run; None where the cache cannot be written."""
    key = _key()
    return None if key is None else _mark(key, config_sha256)


def is_ours(manifest: Mapping[str, Any]) -> bool:
    """Whether a run was made by this user, with the config it has now."""
    key = _key()
    if key is None or CONFIG not in manifest.get("config", {}):
        return False
    ours = _mark(key, manifest["config"][CONFIG])
    return hmac.compare_digest(ours, manifest.get("origin", ""))


def refuse_plugins(
    path: Path, manifest: Mapping[str, Any], named: Iterable[str], trusted: Iterable[str]
) -> None:
    """Import nothing that a stranger's run folder names and this user did not.

    Args:
        named: the plugins of the config in the folder.
        trusted: those of the command line; the ones in the environment are added.

    Raises:
        PluginError: a plugin is named by the folder alone.
    """
    if disabled():
        return
    unknown = sorted({*named} - {*declared(trusted)})
    if unknown and not is_ours(manifest):
        raise PluginError(
            f"run {path} names the plugin '{unknown[0]}' and was not made here",
            why="what is in a run folder imports nothing",
            fix="if you trust it: " + " ".join(f"--plugin {name}" for name in unknown),
        )


def _mark(key: bytes, config_sha256: str) -> str:
    return hmac.new(key, config_sha256.encode(), hashlib.sha256).hexdigest()


def _key() -> bytes | None:
    """The user's key, made the first time; None where it can be neither read nor made."""
    try:
        path = cache_root() / KEY
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
        return path.read_bytes() or None
    except (OSError, RunError):
        return None


def _make(path: Path) -> None:
    """Another process may be making it too: the first one's stays."""
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
