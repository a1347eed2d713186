"""A run is a folder: opened, locked, continued, and marked complete stage by stage."""

from __future__ import annotations

import datetime
import hashlib
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import filelock

from softdiv.errors import RunError
from softdiv.storage import atomic
from softdiv.storage.dotted import dotted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA_VERSION = 1
DIFFERING_SHOWN = 4
"""Keys named in the refusal of a folder that holds another run; the rest are counted."""
LOCK = "run.lock"
MANIFEST = "manifest.json"
CONFIG = "config.toml"
"""The resolved configuration: the run again, on any machine that has its models."""
_NOTHING_DONE = {LOCK, MANIFEST, CONFIG, "pair.json"}
"""All that a folder holds when its run failed before it had anything to keep."""
PACKAGES = ("softdiv", "torch", "transformers", "deepspeed", "peft", "pluggy", "numpy")


@attrs.define(eq=False)
class RunFolder:
    """One run's files. Use as a context manager: it holds the lock while open."""

    path: Path
    manifest: dict[str, Any]
    _lock: filelock.BaseFileLock
    _made: tuple[Path, ...] = ()
    """Folders this process made for it: the run's own, and those above it, nearest first."""

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
        if error is not None and self._made and self._is_empty():
            shutil.rmtree(self.path)
            for folder in self._made[1:]:
                with suppress(OSError):  # another run has moved in
                    folder.rmdir()

    def done(self, stage: str) -> bool:
        """Whether a stage finished in this run or in the one it continues."""
        return stage in self.manifest["stages"]

    def damage(self, stage: str) -> list[str]:
        """A finished stage's files that are missing or not what its sha256 says."""
        return changed_files(
            self.path, f"{stage} wrote it", self.manifest["stages"][stage]["files"]
        )

    def complete(self, stage: str, files: Mapping[str, str] | None = None, **facts: Any) -> None:
        """Mark a stage finished, with the sha256 of each file it wrote, and facts about it."""
        self.manifest["stages"][stage] = {"finished": _now(), "files": dict(files or {}), **facts}
        self._save()

    def forget(self, stage: str, leftovers: Iterable[str] = ()) -> None:
        """Remove a stage's mark, then its files and ``leftovers`` (files or folders)."""
        entry = self.manifest["stages"].pop(stage, {"files": {}})
        self._save()  # first: a stage is never marked finished without its files
        for name in (*entry["files"], *leftovers):
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

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

    def write_tensors(
        self, name: str, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Write a safetensors file; returns ``{name: sha256}`` for :meth:`complete`."""
        return {name: atomic.write_tensors(self.path / name, tensors, metadata)}

    def append(self, name: str, value: Any) -> None:
        """Append one line to a JSONL file."""
        atomic.append_json_line(self.path / name, value)

    def event(self, kind: str, **facts: Any) -> None:
        """Append to ``events.jsonl``."""
        self.append("events.jsonl", {"time": _now(), "event": kind, **facts})

    def _is_empty(self) -> bool:
        return {item.name for item in self.path.iterdir()} <= _NOTHING_DONE

    def _save(self) -> None:
        atomic.write_json(self.path / MANIFEST, self.manifest)


def config_key(resolved: Mapping[str, Any]) -> str:
    """Identity of a configuration: two runs with one key compute the same thing."""
    relevant = {key: value for key, value in resolved.items() if key != "output_dir"}
    return hashlib.sha256(atomic.to_json(relevant, indent=None).encode()).hexdigest()


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
    """
    key = config_key(resolved)
    known = None if fresh else _newest(parent, key)
    path = folder or known or parent / _new_name(name, key)
    made = tuple(p for p in (path, *path.parents) if not p.exists())
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"run folder {path} cannot be made",
            why=error.strerror or str(error),
            fix="choose another --output-dir",
        ) from error
    if folder and any(item.name != LOCK for item in folder.iterdir()):
        _check_same_config(folder, key, resolved)
    lock = _locked(path)
    if (path / MANIFEST).exists():
        return _continued(path, lock)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "config_key": key,
        "created": _now(),
        "stages": {},
        "facts": machine_facts(),
    }
    run = RunFolder(path, manifest, lock, made)
    manifest["config"] = run.write_text(CONFIG, config_toml)
    run._save()
    return run


def open_existing(path: Path) -> RunFolder:
    """Open a run folder to repeat or add a stage, whatever its configuration.

    Raises:
        RunError: it is no run folder, or it is in use.
    """
    read_manifest(path)
    return _continued(path, _locked(path))


def _locked(path: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise RunError(
            f"run {path} is in use by another process", fix="wait for it, or choose --output-dir"
        ) from error
    return lock


def _continued(path: Path, lock: filelock.BaseFileLock) -> RunFolder:
    manifest = read_manifest(path)
    if problems := changed_files(path, "the run was made", manifest.get("config", {})):
        lock.release()
        raise RunError(problems[0], fix="put it back; for other settings start another run with it")
    run = RunFolder(path, manifest, lock)
    if not run.done("report"):
        manifest["continued"] = [*manifest.get("continued", []), _now()]
        run._save()
    return run


def changed_files(path: Path, since: str, files: Mapping[str, str]) -> list[str]:
    """Of ``{name: sha256}``, those that are missing or are something else, one line each.

    Args:
        since: what happened when they were as they should be, e.g. ``train wrote it``.
    """
    found = []
    for name, digest in files.items():
        file = path / name
        if not file.is_file():
            found.append(f"{file} is missing since {since}")
        elif atomic.sha256_file(file) != digest:
            found.append(f"{file} has changed since {since}")
    return found


def read_manifest(path: Path) -> dict[str, Any]:
    """Raises RunError if this is no run folder or was written by another schema."""
    if not (path / MANIFEST).exists():
        raise RunError(f"{path} is not a softdiv run", why="it has no manifest.json")
    manifest: dict[str, Any] = atomic.read_json(path / MANIFEST)
    version = manifest.get("schema_version")
    if version not in (SCHEMA_VERSION, SCHEMA_VERSION - 1):
        raise RunError(
            f"run {path} has schema version {version}", why=f"this softdiv reads {SCHEMA_VERSION}"
        )
    return manifest


def machine_facts() -> dict[str, Any]:
    """Versions and platform, for the manifest and for benchmarks."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), **versions}


def _check_same_config(folder: Path, key: str, resolved: Mapping[str, Any]) -> None:
    if not (folder / MANIFEST).exists():
        raise RunError(
            f"{folder} is not empty and is not a softdiv run", fix="choose another --output-dir"
        )
    if read_manifest(folder)["config_key"] != key:
        raise RunError(
            f"{folder} holds a run of another configuration",
            why=_differing(folder, resolved),
            fix="choose another --output-dir, or remove the folder",
        )


def _differing(folder: Path, resolved: Mapping[str, Any]) -> str:
    """The keys in which the folder's config differs, the first few."""
    try:
        theirs = dotted(tomllib.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "its config.toml cannot be read"
    ours = dotted(resolved)
    if theirs == ours:
        return "its config.toml is no longer the one it was made with"
    keys = sorted(k for k in {*ours, *theirs} - {"output_dir"} if ours.get(k) != theirs.get(k))
    named = ", ".join(keys[:DIFFERING_SHOWN])
    more = len(keys) - DIFFERING_SHOWN
    return f"{named} and {more} more differ" if more > 0 else f"{named} differ"


def _newest(parent: Path, key: str) -> Path | None:
    """The newest run of a configuration; a damaged neighbour is passed over."""
    for manifest_path in sorted(parent.glob(f"*/{MANIFEST}"), reverse=True):
        try:
            manifest = atomic.read_json(manifest_path)
        except RunError:
            continue
        if manifest.get("config_key") == key:
            return manifest_path.parent
    return None


def _new_name(name: str, key: str) -> str:
    stamp = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60]
    return f"{stamp}_{safe}_{key[:4]}"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
