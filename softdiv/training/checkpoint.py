"""Checkpoints: a folder is complete when its ``state.json`` exists and matches its tensors."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
from torch import Tensor

from softdiv.errors import RunError
from softdiv.plugin.observer_state import ObserverStates
from softdiv.storage import atomic
from softdiv.training.engine import EngineState


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
    zero_gradients: int = 0
    """Steps in a row without a gradient."""
    stop_reason: str | None = None
    pending: list[list[list[int]]] = attrs.field(factory=list)
    """Answers (token ids) for the coming steps, the next step's first."""
    observers: ObserverStates = attrs.field(factory=ObserverStates)
    """What the observers want kept."""


_OBSERVER = "observer:"
"""What the names of observers' tensors begin with."""
_PLAIN = ("best_bits", "validated_at", "without_gain", "zero_gradients", "stop_reason", "pending")


def save(
    folder: Path, progress: Progress, engine: EngineState, fte_by_phase: dict[str, int], keep: int
) -> Path:
    """Write ``folder/step-000010`` and drop all but the newest ``keep``."""
    path = folder / f"step-{progress.steps:06d}"
    (path / "state.json").unlink(missing_ok=True)  # while rewriting, it is not complete
    tensors = dict(engine.tensors)
    if progress.best_prompt is not None:
        tensors["best_prompt"] = progress.best_prompt
    tensors |= {_OBSERVER + key: tensor for key, tensor in progress.observers.tensors.items()}
    digest = atomic.write_tensors(path / "state.safetensors", tensors)
    atomic.write_json(
        path / "state.json",
        {
            "steps": progress.steps,
            "engine_steps": engine.steps,
            "fte_by_phase": fte_by_phase,
            "sha256": digest,
            "observers": progress.observers.plain,
            **{name: getattr(progress, name) for name in _PLAIN},
        },
    )
    for old in sorted(folder.glob("step-*"))[:-keep]:
        (old / "state.json").unlink(missing_ok=True)
        shutil.rmtree(old)
    return path


def latest(folder: Path) -> tuple[Progress, EngineState, dict[str, int]] | None:
    """The newest complete checkpoint; incomplete and damaged ones are passed over."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            state = atomic.read_json(path / "state.json")
            intact = atomic.sha256_file(path / "state.safetensors") == state["sha256"]
        except (RunError, FileNotFoundError):
            continue
        if not intact:
            continue
        tensors, _ = atomic.read_tensors(path / "state.safetensors")
        best = tensors.pop("best_prompt", None)
        kept = {
            key.removeprefix(_OBSERVER): tensors.pop(key)
            for key in sorted(tensors)
            if key.startswith(_OBSERVER)
        }
        progress = Progress(
            steps=state["steps"],
            best_prompt=best,
            observers=ObserverStates(plain=state.get("observers", {}), tensors=kept),
            **{name: state[name] for name in _PLAIN},
        )
        return progress, EngineState(tensors, state["engine_steps"]), state["fte_by_phase"]
    return None
