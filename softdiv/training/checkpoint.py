"""Checkpoints: a folder is complete when its ``state.json`` exists, whole, with its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.errors import RunError, TrainingError
from softdiv.plugin.state import PackedState, pack, unpack
from softdiv.ranks.group import Ranks
from softdiv.storage import atomic
from softdiv.storage.folder import remove
from softdiv.storage.names import BEST, CHECKPOINTS, METRICS
from softdiv.storage.sealed import read_sealed, write_sealed
from softdiv.training.journal import MetricsSoFar
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.state import Stateful

STATE, TENSORS = "state.json", "state.safetensors"
FORMAT = 2
"""Of what is written here: the parts of a training, each under its name."""
ANEW = "continue it with what saved it, or train anew (--force, or in another folder)"


@attrs.frozen
class Saved:
    """A checkpoint, read back."""

    table: Mapping[str, Any]
    """What ``state.json`` holds."""
    tensors: dict[str, Tensor]


@attrs.define(eq=False)
class Checkpoints:
    """Saves the parts of a training by name, and finds them again.

    Rank 0 writes and reads; the others give their part and get rank 0's.
    """

    folder: Path | None
    """None keeps nothing."""
    parts: Mapping[str, Stateful]
    ranks: Ranks = attrs.field(factory=Ranks)
    keep: int = 2
    """The newest ones that stay."""
    saved_at: int | None = attrs.field(init=False, default=None)
    """Steps finished at the newest checkpoint."""

    def save(self, steps: int) -> None:
        """Write the folder ``step-000010``, with the sha256 of its tensors.

        Raises:
            TypeError: a part's state is no plain data.
            DiskError: the system refuses.
        """
        parts = pack({name: part.state_dict() for name, part in self.parts.items()})
        if self.folder is not None and self.ranks.first:
            path = self.folder / f"step-{steps:06d}"
            remove(path / STATE)  # while rewriting, it is not complete
            digest = atomic.write_tensors(path / TENSORS, parts.tensors)
            table = {
                "format": FORMAT,
                "files": {TENSORS: digest},
                "steps": steps,
                "world": self.ranks.world,
                "threads": torch.get_num_threads(),
                "parts": parts.plain,
            }
            write_sealed(path / STATE, table)
            for old in sorted(self.folder.glob("step-*"))[: -self.keep]:
                remove(old / STATE)
                remove(old)
        self.saved_at = steps

    def restore(self) -> list[str]:
        """Load the newest complete checkpoint into all parts; without one, they stay as they are.

        Returns:
            Notes: damaged ones that were passed over, and what makes the continued training differ
            from an uninterrupted one in rounding.

        Raises:
            RunError: it was saved by another version, or with other parts.
        """
        found, damaged = None, list[str]()
        if self.folder is not None and self.ranks.first:
            found, damaged = latest(self.folder)
        table, damaged = self.ranks.share([found and found.table, damaged])
        steps = self._load(table, found) if table is not None else 0
        passed = "is damaged: training went on from step"
        notes = [f"checkpoint {name} {passed} {steps}" for name in damaged]
        return notes if table is None else notes + self._changes(table)

    def _load(self, table: Mapping[str, Any], found: Saved | None) -> int:
        tensors = self.ranks.share_tensors(found.tensors if found else {})
        try:
            states = unpack(PackedState(plain=table["parts"], tensors=tensors))
            if states.keys() != self.parts.keys():
                raise ValueError(f"its parts are {', '.join(states)}")
            for name, part in self.parts.items():
                part.load_state_dict(states[name])
            self.saved_at = int(table["steps"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"the checkpoint of step {table.get('steps')} does not fit this training",
                why=f"{type(error).__name__}: {error}",
                fix=ANEW,
            ) from error
        return self.saved_at

    def _changes(self, table: Mapping[str, Any]) -> list[str]:
        """What makes the continued run differ from an uninterrupted one in rounding."""
        pairs = (
            ("rank(s)", table["world"], self.ranks.world),
            ("thread(s)", table["threads"], torch.get_num_threads()),
        )
        return [
            f"training continued at step {self.saved_at} on {now} {what} instead of {before}: "
            "results agree to rounding, not bit for bit"
            for what, before, now in pairs
            if before != now
        ]


def latest(folder: Path) -> tuple[Saved | None, list[str]]:
    """The newest complete checkpoint, and the names of damaged ones that are newer.

    Those without a ``state.json`` are what a kill leaves, and cost no more than the steps since
    the one before.

    Raises:
        RunError: the newest was saved by another version.
    """
    damaged: list[str] = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        found = read(path)
        if found is not None:
            return found, damaged
        if (path / STATE).exists():
            damaged.append(path.name)
    return None, damaged


def changes(folder: Path) -> list[str]:
    """What of a training under way is not as it was saved, one line each."""
    found = []
    for state in sorted((folder / CHECKPOINTS).glob(f"step-*/{STATE}")):
        try:
            saved = read(state.parent)
            kept = None
            if saved is not None:
                kept = MetricsSoFar(**saved.table["parts"]["journal"]["metrics"])
        except RunError as error:
            found.append(str(error))
            continue
        except (KeyError, TypeError):  # a table, but not ours
            kept = None
        if kept is None:
            found.append(f"{state.parent} has changed since it was saved")
        elif not kept.begins(folder / METRICS):
            found.append(f"{folder / METRICS} has changed since {state.parent.name}")
    best = folder / BEST
    if best.exists():
        try:
            DivergenceSoftPrompt.load(best)
        except (RunError, TrainingError) as error:
            found.append(str(error))
    return found


def read(path: Path) -> Saved | None:
    """One checkpoint folder; None if it is incomplete or damaged.

    Raises:
        RunError: another version of softdiv saved it.
    """
    try:
        table = read_sealed(path / STATE)
        if table.get("format", 1) == FORMAT:
            if atomic.sha256_file(path / TENSORS) != table["files"][TENSORS]:
                return None
            tensors, _ = atomic.read_tensors(path / TENSORS)
            return Saved(table, tensors) if isinstance(table["parts"], dict) else None
    except (RunError, KeyError, TypeError):  # the last two: a table, but not ours
        return None
    raise RunError(f"{path} was saved by another version of softdiv", fix=ANEW)
