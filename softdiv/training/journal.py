"""What a training writes down: notes for a reader, and lines of numbers per step."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import RunError
from softdiv.plugin.events import TrainEvent
from softdiv.ranks.group import Ranks
from softdiv.storage import atomic
from softdiv.storage.folder import remove
from softdiv.storage.names import METRICS, TIMINGS
from softdiv.storage.refusal import refusal
from softdiv.storage.run import RunFolder
from softdiv.training.state import FieldState


@attrs.frozen
class MetricsSoFar:
    """The metrics that belong to a checkpoint: the file as it was then, at first none."""

    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()

    @classmethod
    def of(cls, path: Path) -> MetricsSoFar:
        """The file as it is, made durable. Raises DiskError."""
        with refusal(path, "read"):
            if not path.exists():
                return cls()
            size = path.stat().st_size
        atomic.sync(path)
        return cls(size, atomic.sha256_start(path, size))

    def begins(self, path: Path) -> bool:
        """Whether the file still begins so. Raises DiskError."""
        with refusal(path, "read"):
            if not path.exists():
                return self.bytes == 0
        return atomic.sha256_start(path, self.bytes) == self.sha256


@attrs.define(eq=False)
class Journal(FieldState):
    """Notes and numbers, in memory and in the files of a run."""

    run: RunFolder | None
    """None writes nothing, as on every rank but 0."""
    ranks: Ranks
    notes: list[str] = attrs.field(init=False, factory=list)
    """What a reader of the result should know, e.g. that micro-batches were halved."""
    history: list[dict[str, float]] = attrs.field(init=False, factory=list)
    """What :meth:`log` was given."""
    _untold: list[str] = attrs.field(init=False, factory=list)
    _kept: MetricsSoFar = attrs.field(init=False, factory=MetricsSoFar)

    def note(self, line: str) -> None:
        """Keep a line for the report, and for :meth:`untold`."""
        self.notes.append(line)
        self._untold.append(line)
        if self.run is not None:
            self.run.event("note", line=line)

    def untold(self) -> tuple[str, ...]:
        """The notes since the last call."""
        lines, self._untold = tuple(self._untold), []
        return lines

    def log(self, numbers: Mapping[str, float]) -> None:
        """One line of a loop of one's own."""
        self.history.append(dict(numbers))
        if self.run is not None:
            self.run.append(METRICS, numbers)

    def write(self, event: TrainEvent) -> None:
        """The two lines of a step that has ended."""
        if self.run is None:
            return
        numbers = {k: v if math.isfinite(v) else None for k, v in event.metrics.items()}
        self.run.append(METRICS, {"step": event.step, **numbers})
        self.run.append(TIMINGS, {"step": event.step, **event.timings})

    def state_dict(self) -> dict[str, Any]:
        """See :class:`softdiv.training.state.Stateful`."""
        kept = MetricsSoFar.of(self.run.path / METRICS) if self.run else MetricsSoFar()
        return {**super().state_dict(), "metrics": attrs.asdict(kept)}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`softdiv.training.state.Stateful`."""
        super().load_state_dict(state)
        self._untold, self._kept = list(self.notes), MetricsSoFar(**state["metrics"])

    def cut(self, steps: int) -> None:
        """Drop the lines of steps after ``steps``, which are taken again, and lines that are not
        as they were when the state was saved; a note says where lines of earlier steps are lost."""
        lost = None
        if self.run is not None:
            lost = self._cut_metrics(self.run.path / METRICS, steps)
            self._cut_timings(self.run, steps)
        lost = self.ranks.share(lost)
        if lost is not None:
            self.note(lost)

    def _cut_metrics(self, path: Path, steps: int) -> str | None:
        if self._kept.begins(path):
            if path.exists() and path.stat().st_size > self._kept.bytes:
                atomic.write_bytes(path, atomic.read_bytes(path)[: self._kept.bytes])
            return None
        if not path.exists():
            return f"{METRICS} is missing since step {steps}"
        remove(path)
        return f"{METRICS} has changed since step {steps}: its lines are left out"

    def _cut_timings(self, run: RunFolder, steps: int) -> None:
        """No result rests on these: a damaged file starts anew."""
        try:
            lines = atomic.read_json_lines(run.path / TIMINGS)
            kept = [line for line in lines if line["step"] < steps]
        except (RunError, TypeError, KeyError):
            remove(run.path / TIMINGS)
            return
        if len(kept) < len(lines):
            run.write_json_lines(TIMINGS, kept)
