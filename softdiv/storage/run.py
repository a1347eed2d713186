"""A run is a folder: opened, locked, continued, and marked complete stage by stage."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import filelock

from softdiv.errors import RunError
from softdiv.storage import atomic
from softdiv.storage.existing import config_key, known_run, new_path, refuse_other
from softdiv.storage.folder import refuse_strange, remove, remove_leftovers
from softdiv.storage.locks import locked, turn
from softdiv.storage.manifest import SCHEMA_VERSION, read_manifest, write_manifest
from softdiv.storage.names import CONFIG, EVENTS, LOCK, MANIFEST, PAIR
from softdiv.storage.origin import mark
from softdiv.storage.refusal import refusal
from softdiv.storage.run_files import RunFiles

_NOTHING_DONE = {LOCK, CONFIG, MANIFEST, PAIR}
"""All that a folder holds when its run failed before it had anything to keep."""
PACKAGES = ("softdiv", "torch", "transformers", "deepspeed", "peft", "pluggy", "numpy")


@attrs.define(eq=False)
class RunFolder(RunFiles):
    """One run's files. Use as a context manager: it holds the lock while open."""

    _lock: filelock.BaseFileLock
    _made: tuple[Path, ...] = ()
    """Folders this process made for it: the run's own, and those above it, nearest first."""

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with turn(self.path.parent):
            self._lock.release()
            if error is not None:
                _remove_if_nothing_done(self.path, self._made)

    def complete(self, stage: str, files: Mapping[str, str] | None = None, **facts: Any) -> None:
        """Mark a stage finished, with the sha256 of each file it wrote, and facts about it."""
        self.manifest["stages"][stage] = {"finished": _now(), "files": dict(files or {}), **facts}
        self._save()

    def forget(self, stage: str, leftovers: Iterable[str] = ()) -> None:
        """Remove a stage's mark, then its files and ``leftovers`` (files or folders)."""
        entry = self.manifest["stages"].pop(stage, {"files": {}})
        self._save()  # first: a stage is never marked finished without its files
        for name in (*entry["files"], *leftovers):
            remove(self.path / name)

    def note(self, **facts: Any) -> None:
        """Add facts (thread count, device, ...) to the manifest."""
        self.manifest["facts"].update(facts)
        self._save()

    def write_json(self, name: str, value: Any, *, indent: int | None = 2) -> dict[str, str]:
        """Write a file; returns ``{name: sha256}`` for :meth:`complete`."""
        return {name: atomic.write_json(self.path / name, value, indent=indent)}

    def write_text(self, name: str, text: str) -> dict[str, str]:
        """Write a file; returns ``{name: sha256}`` for :meth:`complete`."""
        return {name: atomic.write_text(self.path / name, text)}

    def write_json_lines(self, name: str, values: list[Any]) -> dict[str, str]:
        """Write a JSONL file whole; returns ``{name: sha256}`` for :meth:`complete`."""
        return {name: atomic.write_json_lines(self.path / name, values)}

    def append(self, name: str, value: Any) -> None:
        """Append one line to a JSONL file."""
        atomic.append_json_line(self.path / name, value)

    def event(self, kind: str, **facts: Any) -> None:
        """Append to its events."""
        self.append(EVENTS, {"time": _now(), "event": kind, **facts})

    def _save(self) -> None:
        write_manifest(self.path, self.manifest)


def open_run(
    resolved: Mapping[str, Any],
    config_toml: str,
    *,
    name: str,
    parent: Path,
    folder: Path | None = None,
    fresh: bool = False,
) -> RunFolder:
    """Open the run of this configuration, finished or not; a new one if there is none.

    Args:
        resolved: the configuration with every default filled in.
        config_toml: the same as text, kept in the folder.
        name: the pair's name, for the folder's name.
        parent: where new run folders go.
        folder: use exactly this folder instead.
        fresh: make a new folder even if ``parent`` has a run of this configuration.

    Raises:
        RunError: the folder is in use, damaged, or belongs to another configuration.
        DiskError: the system refuses the folder or a file in it.
    """
    above = folder.parent if folder else parent
    _refuse_name(folder or parent)
    made = _make(above, folder or parent)
    with turn(above):
        key = config_key(resolved)
        path = folder or (None if fresh else known_run(parent, key, config_toml))
        path = path or new_path(parent, name, key)
        made = (*_make(path, path), *made)
        lock = None
        try:
            refuse_strange(path)
            refuse_other(path, key, resolved, config_toml)
            lock = locked(path)
            remove_leftovers(path)
            if (path / MANIFEST).exists():
                return _continued(path, lock)
            return _new(path, key, resolved, config_toml, lock, made)
        except BaseException:
            if lock is not None:
                lock.release()
            _remove_if_nothing_done(path, made)
            raise


def open_existing(path: Path) -> RunFolder:
    """Open a run folder to repeat or add a stage, whatever its configuration.

    Raises:
        RunError: it is no run folder, or it is in use.
        DiskError: the system refuses a file in it.
    """
    with turn(path.parent):
        read_manifest(path)
        lock = locked(path)
        try:
            remove_leftovers(path)
            return _continued(path, lock)
        except BaseException:
            lock.release()
            raise


def _refuse_name(path: Path) -> None:
    """It goes into files that are UTF-8. Raises RunError."""
    text = str(path)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise RunError(f"run folder {text!r} has a name that is no text", fix="choose another")


def _make(folder: Path, wanted: Path) -> tuple[Path, ...]:
    """Make a folder, ``wanted`` or above it; returns those that were made, it and its parents."""
    with refusal(f"run folder {wanted}", "made", "choose another --output-dir"):
        new = tuple(path for path in (folder, *folder.parents) if not path.exists())
        folder.mkdir(parents=True, exist_ok=True)
    return new


def _remove_if_nothing_done(path: Path, made: tuple[Path, ...]) -> None:
    """After an error, which says more than what this may meet."""
    with suppress(OSError, RunError):
        if made and {item.name for item in path.iterdir()} <= _NOTHING_DONE:
            remove(path)
            for folder in made[1:]:
                folder.rmdir()  # not where another run has moved in


def _new(
    path: Path,
    key: str,
    resolved: Mapping[str, Any],
    config_toml: str,
    lock: filelock.BaseFileLock,
    made: tuple[Path, ...],
) -> RunFolder:
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "config_key": key,
        "created": _now(),
        "stages": {},
        "facts": machine_facts(),
    }
    run = RunFolder(path, manifest, lock, made)
    manifest["config"] = run.write_text(CONFIG, config_toml)
    if resolved.get("plugins") and (origin := mark(manifest["config"][CONFIG])):
        manifest["origin"] = origin
    run._save()
    return run


def _continued(path: Path, lock: filelock.BaseFileLock) -> RunFolder:
    run = RunFolder(path, read_manifest(path), lock)
    try:
        run.file(CONFIG)
    except RunError as error:
        fix = "put it back; for other settings start another run with it"
        raise RunError(error.what, fix=fix) from error
    if not run.done("report"):
        run.manifest["continued"] = [*run.manifest.get("continued", []), _now()]
        run._save()
    return run


def machine_facts() -> dict[str, Any]:
    """Versions and platform, for the manifest and for benchmarks."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), **versions}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
