"""What observers receive: one mutable object per stage, which can grow new attributes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import torch

    from softdiv.plugin.records import HardPrompt


@attrs.define(eq=False, kw_only=True)
class RunEvent:
    """The run as a whole."""

    run_dir: Path
    config: Any
    """The :class:`softdiv.ExperimentConfig` of the run."""
    rank: int = 0
    error: BaseException | None = None


@attrs.define(eq=False, kw_only=True)
class TrainEvent:
    """The training loop. The same object is passed to every hook of one training."""

    run_dir: Path | None
    step: int
    """Index of the current step, from 0."""
    total_steps: int
    prompt: torch.nn.Parameter
    """The soft prompt, ``[k, H]`` fp32; its ``.grad`` may be read and scaled in ``before_step``'s
    successor ``step_end`` only for inspection, never replaced."""
    metrics: dict[str, float] = attrs.field(factory=dict)
    """This step's numbers: ``loss`` (own unit), ``divergence`` (bits), ``grad_norm``, ..."""
    timings: dict[str, float] = attrs.field(factory=dict)
    """This step's ``seconds``, ``tokens_per_s``, ``share_...`` of the time and
    ``peak_memory_gib``, in ``timings.jsonl``."""
    notes: list[str] = attrs.field(factory=list)
    """What happened in this step that a user should read, e.g. smaller micro-batches."""
    rank: int = 0
    stop_reason: str | None = None

    def log(self, name: str, value: float) -> None:
        """Add a number to this step's line in ``metrics.jsonl``."""
        self.metrics[name] = float(value)

    def stop(self, reason: str) -> None:
        """End training after this step; the first reason given is kept and reported."""
        if self.stop_reason is None:
            self.stop_reason = reason


@attrs.define(eq=False, kw_only=True)
class EvaluationEvent:
    """A validation during training (``split="val"``) or the held-out scoring (``split="test"``)."""

    split: str
    step: int
    divergence_bits: float
    best_bits: float
    """Best validation so far, this one included."""


@attrs.define(eq=False, kw_only=True)
class SearchEvent:
    """A stage of the search is done."""

    stage: str
    """e.g. ``"halving"`` or ``"baseline natural_pool"``"""
    prompts: Sequence[HardPrompt]
    """What the stage left, best first where it ranks."""
    spent_fte: int
    """By the searchers, or by this baseline."""


@attrs.define(eq=False, kw_only=True)
class PromptsEvent:
    """What the search returned, best first, and the baselines run beside it."""

    prompts: Sequence[HardPrompt]
    baselines: Sequence[HardPrompt]


@attrs.define(eq=False, kw_only=True)
class ReportEvent:
    """The finished report and the files it was written to."""

    report: Any
    files: Sequence[Path]
