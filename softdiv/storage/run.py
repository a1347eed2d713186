"""A run is a folder: opened, locked, continued, and marked complete stage by stage."""

from __future__ import annotations

import datetime
import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import filelock

from softdiv.errors import RunError
from softdiv.storage import atomic

SCHEMA_VERSION = 1
LOCK = "run.lock"
PACKAGES = ("softdiv", "torch", "transformers", "deepspeed", "peft", "pluggy", "numpy")


@attrs.define(eq=False)
class RunFolder:
    """One run's files. Use as a context manager: it holds the lock while open."""

    path: Path
    manifest: dict[str, Any]
    _lock: filelock.BaseFileLock

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def done(self, stage: str) -> bool:
        """Whether a stage finished in this run or in the one it continues."""
        return stage in self.manifest["stages"]

    def complete(self, stage: str, files: Mapping[str, str] | None = None) -> None:
        """Mark a stage finished, with the sha256 of each file it wrote."""
        self.manifest["stages"][stage] = {"finished": _now(), "files": dict(files or {})}
        self._save()

    def note(self, **facts: Any) -> None:
        """Add facts (thread count, device, ...) to the manifest."""
        self.manifest["facts"].update(facts)
        self._save()

    def write_json(self, name: str, value: Any) -> dict[str, str]:
        """Write a file; returns ``{name: sha256}`` for :meth:`complete`."""
        return {name: atomic.write_json(self.path / name, value)}

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

    def _save(self) -> None:
        atomic.write_json(self.path / "manifest.json", self.manifest)


def config_key(resolved: Mapping[str, Any]) -> str:
    """Identity of a configuration: two runs with one key compute the same thing."""
    relevant = {key: value for key, value in resolved.items() if key != "output_dir"}
    return hashlib.sha256(atomic.to_json(relevant, indent=None).encode()).hexdigest()


def open_run(
    resolved: Mapping[str, Any], *, name: str, parent: Path, folder: Path | None = None
) -> RunFolder:
    """Open the run of this configuration: the unfinished one if there is one, else a new one.

    Args:
        resolved: the configuration with every default filled in.
        name: the pair's name, for the folder's name.
        parent: where new run folders go.
        folder: use exactly this folder instead.

    Raises:
        RunError: the folder is in use, damaged, or belongs to another configuration.
    """
    key = config_key(resolved)
    path = folder or _unfinished(parent, key) or parent / _new_name(name, key)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"run folder {path} cannot be made",
            why=error.strerror or str(error),
            fix="choose another --output-dir",
        ) from error
    if folder and any(item.name != LOCK for item in folder.iterdir()):
        _check_same_config(folder, key)
    lock = filelock.FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise RunError(
            f"run {path} is in use by another process", fix="wait for it, or choose --output-dir"
        ) from error
    manifest_path = path / "manifest.json"
    if manifest_path.exists():
        manifest = read_manifest(path)
        manifest["continued"] = [*manifest.get("continued", []), _now()]
    else:
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "config_key": key,
            "created": _now(),
            "stages": {},
            "facts": machine_facts(),
        }
    run = RunFolder(path, manifest, lock)
    run._save()
    return run


def read_manifest(path: Path) -> dict[str, Any]:
    """Raises RunError if this is no run folder or was written by another schema."""
    if not (path / "manifest.json").exists():
        raise RunError(f"{path} is not a softdiv run", why="it has no manifest.json")
    manifest: dict[str, Any] = atomic.read_json(path / "manifest.json")
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


def _check_same_config(folder: Path, key: str) -> None:
    if not (folder / "manifest.json").exists():
        raise RunError(
            f"{folder} is not empty and is not a softdiv run", fix="choose another --output-dir"
        )
    if read_manifest(folder)["config_key"] != key:
        raise RunError(
            f"{folder} holds a run of another configuration",
            fix="choose another --output-dir, or remove the folder",
        )


def _unfinished(parent: Path, key: str) -> Path | None:
    for manifest_path in sorted(parent.glob("*/manifest.json"), reverse=True):
        manifest = atomic.read_json(manifest_path)
        if manifest.get("config_key") == key and "report" not in manifest.get("stages", {}):
            return manifest_path.parent
    return None


def _new_name(name: str, key: str) -> str:
    stamp = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60]
    return f"{stamp}_{safe}_{key[:4]}"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
