"""What finished stages left in a run folder, read only as their sha256 says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import RunError
from softdiv.storage import atomic
from softdiv.storage.manifest import read_manifest
from softdiv.storage.names import PRODUCTS
from softdiv.storage.refusal import refusal

_MADE = "the run was made"


@attrs.define(eq=False)
class RunFiles:
    """A run folder to read from."""

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> RunFiles:
        """Raises RunError if it is no run folder, or its manifest is damaged."""
        return cls(path, read_manifest(path))

    def done(self, stage: str) -> bool:
        """Whether a stage finished in this run or in the one it continues."""
        return stage in self.manifest["stages"]

    def require(self, stage: str) -> None:
        """Raises RunError with the command to run if ``stage`` is not finished, or if a file it
        wrote is missing or not what its sha256 says."""
        again = f"softdiv {stage} {shlex.quote(str(self.path))}"
        if not self.done(stage):
            raise RunError(f"run {self.path} has no {PRODUCTS[stage]} yet", fix=again)
        if wrong := changed_files(self.path, f"{stage} wrote it", self.stage(stage)["files"]):
            raise RunError(wrong[0], fix=f"{again} --force writes it again")

    def stage(self, name: str) -> Mapping[str, Any]:
        """What the manifest says of a finished stage."""
        found: Mapping[str, Any] = self.manifest["stages"][name]
        return found

    def ledger(self) -> dict[str, int]:
        """FTE by phase after the last finished stage; one that loads no model has none to add."""
        stages = self.manifest["stages"].values()
        return dict(next((s["ledger"] for s in reversed(stages) if "ledger" in s), {}))

    def file(self, name: str) -> Path:
        """A file of a finished stage, or the config, that is as it was written.

        Raises:
            RunError: no finished stage wrote it, or it is missing or has changed.
        """
        for since, files in self._written():
            if name in files:
                if problems := changed_files(self.path, since, {name: files[name]}):
                    raise RunError(problems[0], fix=f"softdiv runs verify {self.path}")
                return self.path / name
        raise RunError(f"{self.path / name} is not of a stage that has finished")

    def changed(self) -> list[str]:
        """Every file that is missing or not what its sha256 says, one line each."""
        return [
            line
            for since, files in self._written()
            for line in changed_files(self.path, since, files)
        ]

    def _written(self) -> list[tuple[str, Mapping[str, str]]]:
        """(since when, ``{name: sha256}``)"""
        stages = self.manifest["stages"].items()
        found = [(f"{name} wrote it", entry["files"]) for name, entry in stages]
        return [(_MADE, self.manifest.get("config", {})), *found]


def changed_files(path: Path, since: str, files: Mapping[str, str]) -> list[str]:
    """Of ``{name: sha256}``, those that are missing or are something else, one line each.

    Args:
        since: what happened when they were as they should be, e.g. ``train wrote it``.

    Raises:
        DiskError: a file cannot be read.
    """
    found = []
    for name, digest in files.items():
        file = path / name
        with refusal(file, "read"):
            missing = not file.is_file()
        if missing:
            found.append(f"{file} is missing since {since}")
        elif atomic.sha256_file(file) != digest:
            found.append(f"{file} has changed since {since}")
    return found
