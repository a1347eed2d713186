"""Checkpoints: a folder is complete when its ``state.json`` exists, whole, with its tensors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from softdiv.errors import RunError, TrainingError
from softdiv.plugin.observer_state import ObserverStates
from softdiv.storage import atomic
from softdiv.storage.folder import remove
from softdiv.storage.locate import BEST_PROMPT
from softdiv.storage.refusal import refusal
from softdiv.storage.sealed import read_sealed, write_sealed
from softdiv.training.engine import EngineState
from softdiv.training.guards import Guards
from softdiv.training.soft_prompt import DivergenceSoftPrompt

METRICS = "metrics.jsonl"
"""One line per step, the same in every run of a configuration on one machine."""
CHECKPOINTS = "checkpoints"
BEST = BEST_PROMPT.as_posix()
STATE, TENSORS = "state.json", "state.safetensors"


@attrs.frozen
class MetricsSoFar:
    """The metrics that belong to a checkpoint: the file as it was then."""

    bytes: int
    sha256: str

    @classmethod
    def none(cls) -> MetricsSoFar:
        """Before any step."""
        return cls(0, hashlib.sha256().hexdigest())

    @classmethod
    def of(cls, path: Path) -> MetricsSoFar:
        """The file as it is, made durable. Raises DiskError."""
        with refusal(path, "read"):
            if not path.exists():
                return cls.none()
            size = path.stat().st_size
        atomic.sync(path)
        return cls(size, atomic.sha256_start(path, size))

    def begins(self, path: Path) -> bool:
        """Whether the file still begins so. Raises DiskError."""
        with refusal(path, "read"):
            if not path.exists():
                return self.bytes == 0
        return atomic.sha256_start(path, self.bytes) == self.sha256


@attrs.define(eq=False, kw_only=True)
class Progress:
    """The training loop's own state, besides the engine's."""

    steps: int = 0
    """Steps finished."""
    best_bits: float | None = None
    best_prompt: Tensor | None = None
    """``[k, H]``, of ``best_bits``."""
    validated_at: int | None = None
    """Steps finished at the last validation."""
    without_gain: int = 0
    """Validations since the best one."""
    guards: Guards = attrs.field(factory=Guards)
    stop_reason: str | None = None
    pending: list[list[list[int]]] = attrs.field(factory=list)
    """Answers (token ids) for the coming steps, the next step's first."""
    micro_batch: int = 0
    """Texts per forward pass: ``training.batch_size``, or less after running out of memory."""
    rollout_rows: int = 0
    """Rows decoded together, likewise."""
    loss_scale: float = 1.0
    finite_since_scaled: int = 0
    prefixes: list[list[int]] = attrs.field(factory=list)
    """Ids of the prefix each model has in its cache: whether it is there decides the next cost."""
    fte_by_phase: dict[str, int] = attrs.field(factory=dict)
    world: int = 1
    """Ranks that wrote it."""
    threads: int = 0
    """Torch threads of rank 0, likewise."""
    notes: list[str] = attrs.field(factory=list)
    """What a reader of the result should know, e.g. that micro-batches were halved."""
    observers: ObserverStates = attrs.field(factory=ObserverStates)
    """What rank 0's observers want kept."""


_OBSERVER = "observer:"
"""What the names of observers' tensors begin with."""
_BEST = "best_prompt"


def to_plain(progress: Progress) -> dict[str, Any]:
    """Everything but the tensors, for JSON."""
    skipped = attrs.filters.exclude("best_prompt", "observers")
    return {**attrs.asdict(progress, filter=skipped), "observers": progress.observers.plain}


def tensors_of(progress: Progress) -> dict[str, Tensor]:
    """The tensors of the loop and of the observers, by the names they are saved under."""
    found = {_OBSERVER + key: tensor for key, tensor in progress.observers.tensors.items()}
    if progress.best_prompt is not None:
        found[_BEST] = progress.best_prompt
    return found


def from_plain(table: dict[str, Any], tensors: dict[str, Tensor]) -> Progress:
    """The reverse of :func:`to_plain` and :func:`tensors_of`, whose tensors it takes out."""
    kept = {
        key.removeprefix(_OBSERVER): tensors.pop(key)
        for key in sorted(tensors)
        if key.startswith(_OBSERVER)
    }
    values = {
        **table,
        "guards": Guards(**table["guards"]),
        "observers": ObserverStates(plain=table["observers"], tensors=kept),
    }
    return Progress(best_prompt=tensors.pop(_BEST, None), **values)


def save(folder: Path, progress: Progress, engine: EngineState, keep: int) -> Path:
    """Write ``folder/step-000010`` and drop all but the newest ``keep``.

    It holds the sha256 of what it belongs to: its tensors, and the metrics up to its step.

    Raises:
        DiskError: the system refuses.
    """
    path = folder / f"step-{progress.steps:06d}"
    remove(path / STATE)  # while rewriting, it is not complete
    tensors = {**engine.tensors, **tensors_of(progress)}
    digest = atomic.write_tensors(path / TENSORS, tensors)
    write_sealed(
        path / STATE,
        {
            "engine_steps": engine.steps,
            "files": {TENSORS: digest},
            "metrics": attrs.asdict(MetricsSoFar.of(folder.parent / METRICS)),
            "progress": to_plain(progress),
        },
    )
    for old in sorted(folder.glob("step-*"))[:-keep]:
        remove(old / STATE)
        remove(old)
    return path


@attrs.frozen(kw_only=True)
class Saved:
    """A checkpoint, read back."""

    progress: Progress
    engine: EngineState
    metrics: MetricsSoFar


def latest(folder: Path) -> Saved | None:
    """The newest complete checkpoint; incomplete and damaged ones are passed over.

    Of damaged ones the progress gets a note. Those without a ``state.json`` are what a kill
    leaves, and cost no more than the steps since the one before.
    """
    damaged: list[str] = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        found = read(path)
        if found is not None:
            lines = [f"checkpoint {name} is damaged: training went on from" for name in damaged]
            found.progress.notes += [f"{line} step {found.progress.steps}" for line in lines]
            return found
        if (path / STATE).exists():
            damaged.append(path.name)
    return None


def changes(folder: Path) -> list[str]:
    """What of a training under way is not as it was saved, one line each.

    Args:
        folder: the run's.
    """
    found = []
    for state in sorted((folder / CHECKPOINTS).glob(f"step-*/{STATE}")):
        saved = read(state.parent)
        if saved is None:
            found.append(f"{state.parent} has changed since it was saved")
        elif not saved.metrics.begins(folder / METRICS):
            found.append(f"{folder / METRICS} has changed since step {saved.progress.steps}")
    best = folder / BEST
    if best.exists():
        try:
            DivergenceSoftPrompt.load(best)
        except (RunError, TrainingError) as error:
            found.append(str(error))
    return found


def read(path: Path) -> Saved | None:
    """One checkpoint folder; None if it is incomplete or damaged."""
    try:
        state = read_sealed(path / STATE)
        if atomic.sha256_file(path / TENSORS) != state["files"][TENSORS]:
            return None
        tensors, _ = atomic.read_tensors(path / TENSORS)
        progress = from_plain(state["progress"], tensors)
        metrics = MetricsSoFar(**state["metrics"])
        engine = EngineState(tensors, state["engine_steps"])
        return Saved(progress=progress, engine=engine, metrics=metrics)
    except (RunError, KeyError, TypeError):  # the last two: a table, but not ours
        return None
