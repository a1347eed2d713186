"""The run folders under a directory: what state they are in, and whether their files are intact."""

from __future__ import annotations

import datetime
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

import attrs

from softdiv.errors import RunError
from softdiv.storage.atomic import read_json
from softdiv.storage.folder import remove
from softdiv.storage.locks import in_use, turn
from softdiv.storage.names import MANIFEST, PAIR, REPORT, REVISIONS
from softdiv.storage.refusal import refusal
from softdiv.storage.run_files import RunFiles

State = Literal["finished", "unfinished", "in use", "damaged", "link"]


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
    """Every run folder directly under ``parent``, by name; links are named and not followed.

    Raises:
        RunError: ``parent`` is no folder.
        DiskError: it cannot be read.
    """
    with refusal(parent, "read"):
        if not parent.is_dir():
            raise RunError(f"{parent} is not a folder", fix="give the folder of runs with --dir")
        folders = sorted(path for path in parent.iterdir() if path.is_dir())
    return tuple(
        RunInfo(path=path, state="link", problem="name what it points to")
        if path.is_symlink()
        else run_info(path)
        for path in folders
        if _may_be_run(path)
    )


def revisions(run: Path) -> tuple[RunInfo, ...]:
    """What was added to a run later, by number."""
    parent = run / REVISIONS
    found = list_runs(parent) if parent.is_dir() else ()
    return tuple(sorted(found, key=lambda info: (len(info.path.name), info.path.name)))


def _may_be_run(path: Path) -> bool:
    try:
        return (path / MANIFEST).exists()
    except OSError:  # said to be damaged, with the reason
        return True


def run_info(path: Path) -> RunInfo:
    """What can be said of a folder with a manifest; a damaged one is said to be so."""
    size = _size(path)
    try:
        run = RunFiles.of(path)
        finished = run.done("report")
        report = read_json(run.file(REPORT)) if finished else {}
        verdict = str(report["verdict"]["outcome"]) if finished else ""
        pair = str(report["pair"]["name"] if finished else _pair_of(run))
    except (RunError, OSError, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, RunError) else f"an entry is missing: {error}"
        return RunInfo(path=path, state="damaged", bytes=size, problem=why)
    state: State = "finished" if finished else "unfinished"
    return RunInfo(
        path=path,
        state="in use" if in_use(path) else state,
        created=run.manifest["created"],
        pair=pair,
        verdict=verdict,
        last_stage=next(reversed(run.manifest["stages"]), ""),
        bytes=size,
    )


def remove_run(path: Path) -> None:
    """Delete a run folder.

    Raises:
        RunError: it is none, is a link, or is in use.
        DiskError: the system refuses.
    """
    with refusal(path, "removed"):
        if path.is_symlink():
            raise RunError(f"{path} is a link", fix="remove the link yourself")
        if not (path / MANIFEST).is_file():
            raise RunError(f"{path} is not a softdiv run")
    with turn(path.parent):
        if in_use(path):
            raise RunError(f"run {path} is in use by another process")
        remove(path)


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        with suppress(OSError):  # a run under way renames its files
            found = file.lstat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def _pair_of(run: RunFiles) -> str:
    return str(read_json(run.file(PAIR))["name"]) if run.done("load") else ""
