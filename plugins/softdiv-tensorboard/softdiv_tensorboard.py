"""A softdiv plugin: observer ``tensorboard``, a run's numbers as TensorBoard event files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv import (
    EvaluationEvent,
    PromptsEvent,
    Register,
    ReportEvent,
    RunEvent,
    TrainEvent,
    hookimpl,
)

SOFTDIV_API_VERSION = 1
SEARCHED = ("prompt", "searcher", "D, bits")
HELD_OUT = ("prompt", "searcher", "D, bits", "lift, nats")


@attrs.define(kw_only=True, eq=False)
class TensorBoardObserver:
    """Scalars at each step, the tables of prompts and the verdict as text."""

    folder: str = ""
    """Where event files go, each run in a folder of its name; by default ``tensorboard/`` inside
    the run's folder."""
    _writer: Any = attrs.field(init=False, default=None)
    _last: int = attrs.field(init=False, default=0)

    @hookimpl
    def softdiv_run_start(self, event: RunEvent) -> None:
        """Open the event file (rank 0 only)."""
        if event.rank != 0:
            return
        from torch.utils.tensorboard import SummaryWriter

        name = event.run_dir.name
        place = Path(self.folder) / name if self.folder else event.run_dir / "tensorboard"
        self._writer = SummaryWriter(log_dir=str(place))

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        """Log the step's numbers."""
        for name, value in event.metrics.items():
            self._scalar(f"train/{name}", value, event.step)

    @hookimpl
    def softdiv_evaluation_end(self, event: EvaluationEvent) -> None:
        """Log D on the validation or held-out texts, bits."""
        self._scalar(f"{event.split}/divergence_bits", event.divergence_bits, event.step)

    @hookimpl
    def softdiv_prompts_found(self, event: PromptsEvent) -> None:
        """Log what the search returned, before any of it is scored on held-out texts."""
        found = [*event.prompts, *event.baselines]
        self._table("search/prompts", SEARCHED, [(p.text, p.searcher, p.score_bits) for p in found])

    @hookimpl
    def softdiv_report_ready(self, event: ReportEvent) -> None:
        """Log the held-out table of prompts and the verdict."""
        evaluation = event.report.evaluation
        rows = [
            (r.text, r.searcher, r.divergence_bits.value, r.llr_lift.value)
            for r in (*evaluation.prompts, *evaluation.baselines)
        ]
        self._table("test/prompts", HELD_OUT, rows)
        verdict = evaluation.verdict
        self._text("verdict", f"{_cell(verdict.outcome)}: {_cell(verdict.headline)}")

    @hookimpl
    def softdiv_run_end(self, event: RunEvent) -> None:
        """Write what is still queued and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._last = max(self._last, step)
        if self._writer is not None:
            self._writer.add_scalar(name, value, step)

    def _table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        lines = [columns, ["---"] * len(columns), *rows]
        self._text(name, "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines))

    def _text(self, name: str, text: str) -> None:
        if self._writer is not None:
            self._writer.add_text(name, text, self._last)


def _cell(value: Any) -> str:
    """As Markdown that is shown as it stands, whatever a model wrote."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    marks = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#+!|"})
    return " ".join(text.split()).translate(marks) if text != "---" else text


@hookimpl
def softdiv_register_observers(register: Register[object]) -> None:
    """Register the observer."""
    register("tensorboard", TensorBoardObserver)
