"""Which folder holds a run already, and which folder holds something else."""

from __future__ import annotations

import datetime
import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from softdiv.errors import RunError
from softdiv.storage import atomic
from softdiv.storage.folder import is_leftover
from softdiv.storage.manifest import read_manifest
from softdiv.storage.names import CONFIG, LOCK, MANIFEST
from softdiv.storage.plain import dotted
from softdiv.storage.refusal import refusal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIFFERING_SHOWN = 4
"""Keys named in the refusal of a folder that holds another run; the rest are counted."""


def config_key(resolved: Mapping[str, Any]) -> str:
    """Identity of a configuration: two runs with one key compute the same thing."""
    relevant = {key: value for key, value in resolved.items() if key != "output_dir"}
    return hashlib.sha256(atomic.to_json(relevant, indent=None).encode()).hexdigest()


def known_run(parent: Path, key: str, config_toml: str) -> Path | None:
    """The newest run of a configuration, or a start of it that was killed before its manifest.

    A damaged neighbour and a link are passed over.

    Raises:
        DiskError: ``parent`` cannot be read.
    """
    with refusal(parent, "read"):
        folders = sorted((p for p in parent.iterdir() if p.is_dir()), reverse=True)
    for path in folders:
        try:
            if not path.is_symlink() and _holds(path, key, config_toml):
                return path
        except (OSError, RunError):
            continue
    return None


def new_path(parent: Path, name: str, key: str) -> Path:
    """Where a new run goes: nothing is there yet."""
    stamp = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60]
    path, number = parent / f"{stamp}_{safe}_{key[:4]}", 1
    while path.exists():  # begun in this very second
        number += 1
        path = parent / f"{stamp}_{safe}-{number}_{key[:4]}"
    return path


def refuse_other(path: Path, key: str, resolved: Mapping[str, Any], config_toml: str) -> None:
    """Before a lock is put there: a folder of another run, or of something else.

    Raises:
        RunError: it is one of those.
        DiskError: it cannot be read.
    """
    with refusal(path, "read"):
        names = {item.name for item in path.iterdir()}
    if MANIFEST in names:
        same = read_manifest(path)["config_key"] == key
    elif names and not (LOCK in names and _begun(names)):
        raise RunError(
            f"{path} is not empty and is not a softdiv run", fix="choose another --output-dir"
        )
    else:
        same = CONFIG not in names or _config_of(path) == config_toml
    if not same:
        raise RunError(
            f"{path} holds a run of another configuration",
            why=_differing(path, resolved),
            fix="choose another --output-dir, or remove the folder",
        )


def _holds(path: Path, key: str, config_toml: str) -> bool:
    if (path / MANIFEST).exists():
        return bool(read_manifest(path)["config_key"] == key)
    if not path.name.endswith(f"_{key[:4]}"):
        return False
    names = {item.name for item in path.iterdir()}
    return _begun(names) and (CONFIG not in names or _config_of(path) == config_toml)


def _begun(names: Iterable[str]) -> bool:
    """Whether these are all the files of a start that was killed before its first manifest."""
    return all(name in (LOCK, CONFIG) or is_leftover(name) for name in names)


def _config_of(path: Path) -> str:
    return atomic.read_bytes(path / CONFIG).decode(errors="replace")


def _differing(folder: Path, resolved: Mapping[str, Any]) -> str:
    """The keys in which the folder's config differs, the first few."""
    try:
        theirs = dotted(tomllib.loads(_config_of(folder)))
    except (RunError, ValueError, RecursionError):
        return "its config.toml cannot be read"
    ours = dotted(resolved)
    if theirs == ours:
        return "its config.toml is no longer the one it was made with"
    keys = sorted(k for k in {*ours, *theirs} - {"output_dir"} if ours.get(k) != theirs.get(k))
    named = ", ".join(keys[:DIFFERING_SHOWN])
    more = len(keys) - DIFFERING_SHOWN
    return f"{named} and {more} more differ" if more > 0 else f"{named} differ"
