"""A finished run, added to: a new run folder beside the old one, which is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.components import Prepared
from softdiv.errors import DataError, RunError
from softdiv.stages.load import load_texts
from softdiv.storage import atomic
from softdiv.storage.existing import config_key
from softdiv.storage.manifest import read_manifest
from softdiv.storage.names import MANIFEST, REVISIONS
from softdiv.storage.run import RunFolder
from softdiv.storage.run_files import RunFiles

_OWN = ("finished", "files")


@attrs.frozen
class Base:
    """The run that is added to, and its stages that stay as they are."""

    run_dir: Path
    keep: tuple[str, ...]

    def folder(self, resolved: Mapping[str, Any]) -> Path:
        """Where the revision of this configuration is, or is to be.

        Raises:
            RunError: the run is none, or has not finished a stage that is kept.
        """
        base, key = RunFiles.of(self.run_dir), config_key(resolved)
        for stage in self.keep:
            if stage != "load" and not base.done(stage):
                raise RunError(
                    f"run {self.run_dir} has not finished {stage} yet",
                    fix=f"softdiv {stage} {self.run_dir}",
                )
        parent, number = revisions_of(self.run_dir), 2
        while (found := parent / str(number)).exists():
            if (found / MANIFEST).is_file() and read_manifest(found)["config_key"] == key:
                break
            number += 1
        return found

    def put_into(self, run: RunFolder) -> None:
        """Copy the kept stages, each file compared with its sha256 first.

        Raises:
            RunError: a file is no longer what its stage wrote.
        """
        base = RunFiles.of(self.run_dir)
        for name in self.keep:
            if run.done(name) or not base.done(name):
                continue
            stage = base.stage(name)
            files = {
                file: atomic.write_bytes(run.path / file, base.file(file).read_bytes())
                for file in stage["files"]
            }
            run.complete(name, files, **{k: v for k, v in stage.items() if k not in _OWN})
        given = {k: v for k, v in base.manifest["facts"].items() if k == "prompts"}
        run.note(revision_of=str(self.run_dir.absolute()), **given)


def revisions_of(run_dir: Path) -> Path:
    """The folder of a run's revisions; a revision of one stands beside it."""
    parent = run_dir.absolute().parent
    inside = parent.name == REVISIONS and (parent.parent / MANIFEST).is_file()
    return parent if inside else run_dir / REVISIONS


def refuse_seen_texts(before: Prepared, after: Prepared) -> str:
    """Texts that a run was trained on, or chose by, say nothing of how its prompts do on others.

    Returns:
        Why that could not be seen; empty where it could.

    Raises:
        DataError: some of the new texts are such.
    """
    try:
        old = load_texts(before.parts, before.config.data, lambda note: None)
    except DataError as error:
        return f"whether the run was trained on some of these texts is not known: {error}"
    new = load_texts(after.parts, after.config.data, lambda note: None)
    known = {(example.text, example.context) for example in (*old.train, *old.val)}
    seen = [example for example in new.test if (example.text, example.context) in known]
    if seen:
        raise DataError(
            f"{len(seen)} of {len(new.test)} texts are among those this run was trained on or "
            f"chose its prompts by, e.g. “{seen[0].text[:60]}”",
            fix="leave them out",
        )
    return ""
