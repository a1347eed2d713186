"""The run folders under a directory: what state they are in, and whether their files are intact."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import filelock

from softdiv.errors import RunError
from softdiv.storage.atomic import read_json
from softdiv.storage.run import CONFIG, LOCK, MANIFEST, changed_files, read_manifest

State = Literal["finished", "unfinished", "in use", "damaged"]


@attrs.frozen(kw_only=True)
class RunInfo:
    """One run folder at a glance."""

    path: Path
    state: State
    created: str = ""
    """ISO 8601, UTC; empty if the manifest is damaged"""
    pair: str = ""
    verdict: str = ""
    """the outcome, of a finished run"""
    last_stage: str = ""
    bytes: int = 0
    problem: str = ""
    """why it is damaged"""

    def age_days(self, now: datetime.datetime) -> float:
        """Days since it was created; infinite where that is not known."""
        if not self.created:
            return float("inf")
        return (now - datetime.datetime.fromisoformat(self.created)).total_seconds() / 86400


def list_runs(parent: Path) -> tuple[RunInfo, ...]:
    """Every run folder directly under ``parent``, by name. Raises RunError if it is no folder."""
    if not parent.is_dir():
        raise RunError(f"{parent} is not a folder", fix="give the folder of runs with --dir")
    return tuple(run_info(path.parent) for path in sorted(parent.glob(f"*/{MANIFEST}")))


def run_info(path: Path) -> RunInfo:
    """What can be said of a folder with a manifest; a damaged one is said to be so."""
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file() and not f.is_symlink())
    try:
        manifest = read_manifest(path)
        stages: Mapping[str, Any] = manifest["stages"]
        created: str = manifest["created"]
        finished = "report" in stages
        report = read_json(path / "report.json") if finished else {}
        verdict = report["verdict"]["outcome"] if finished else ""
        pair = report["pair"]["name"] if finished else _pair_of(path)
    except (RunError, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, RunError) else f"an entry is missing: {error}"
        return RunInfo(path=path, state="damaged", bytes=size, problem=why)
    state: State = "finished" if finished else "unfinished"
    return RunInfo(
        path=path,
        state="in use" if _in_use(path) else state,
        created=created,
        pair=pair,
        verdict=verdict,
        last_stage=list(stages)[-1] if stages else "",
        bytes=size,
    )


def verify_run(path: Path) -> tuple[str, ...]:
    """Files that are missing or are not what the manifest's sha256 says; empty if all is well.

    Raises:
        RunError: it is no run folder.
    """
    manifest = read_manifest(path)
    problems = changed_files(path, "the run was made", manifest.get("config", {}))
    for stage, entry in manifest["stages"].items():
        problems += changed_files(path, f"{stage} wrote it", entry["files"])
    return tuple(problems)


def remove_run(path: Path) -> None:
    """Delete a run folder. Raises RunError if it is none, or is in use."""
    if not (path / MANIFEST).is_file():
        raise RunError(f"{path} is not a softdiv run")
    if path.is_symlink():
        raise RunError(f"{path} is a link", fix="remove the link yourself")
    if _in_use(path):
        raise RunError(f"run {path} is in use by another process")
    shutil.rmtree(path)


def _pair_of(path: Path) -> str:
    facts = path / "pair.json"
    if facts.is_file():
        name: str = read_json(facts)["name"]
        return name
    return "" if (path / CONFIG).is_file() else "(no config.toml)"


def _in_use(path: Path) -> bool:
    if not (path / LOCK).exists():
        return False
    lock = filelock.FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    lock.release()
    return False
