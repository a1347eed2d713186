"""A softdiv plugin: observer ``trackio``, a run's numbers in a local trackio project.

Everything stays in trackio's local database (``TRACKIO_DIR``); no Space, bucket, server or webhook.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
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
    redacted,
)

SOFTDIV_API_VERSION = 1

ELSEWHERE = (
    "TRACKIO_SPACE_ID",
    "TRACKIO_SERVER_URL",
    "TRACKIO_BUCKET_ID",
    "TRACKIO_DATASET_ID",
    "TRACKIO_WEBHOOK_URL",
)
"""Variables by which trackio would send a run off this machine; with one of them set we refuse."""
COLUMNS = ("text", "searcher", "baseline", "divergence_bits", "low", "high", "llr_lift")


@attrs.define(kw_only=True, eq=False)
class TrackioObserver:
    """Scalars at each step, the tables of prompts, and the verdict; look with ``trackio show``."""

    project: str = "softdiv"
    """trackio project; each softdiv run becomes one trackio run, named after its folder."""
    _run: Any = attrs.field(init=False, default=None)
    _trackio: Any = attrs.field(init=False, default=None)
    _last: int = attrs.field(init=False, default=0)

    @hookimpl
    def softdiv_run_start(self, event: RunEvent) -> None:
        """Open the trackio run (rank 0 only).

        Raises:
            RuntimeError: a variable of :data:`ELSEWHERE` is set.
        """
        if event.rank != 0:
            return
        wrong = [name for name in ELSEWHERE if os.environ.get(name)]
        if wrong:
            raise RuntimeError(
                f"{wrong[0]} is set and would send the run elsewhere; this observer is local: "
                f"unset {', '.join(wrong)}"
            )
        with _quiet_and_offline():
            import trackio

            self._trackio = trackio
            self._run = trackio.init(
                project=self.project,
                name=event.run_dir.name,
                config={"softdiv": redacted(event.config.to_dict())},
                resume="allow",  # a continued run folder continues its trackio run
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        """Log the step's numbers."""
        self._log({f"train/{name}": value for name, value in event.metrics.items()}, event.step)

    @hookimpl
    def softdiv_evaluation_end(self, event: EvaluationEvent) -> None:
        """Log D on the validation or held-out texts, bits."""
        self._log({f"{event.split}/divergence_bits": event.divergence_bits}, event.step)

    @hookimpl
    def softdiv_prompts_found(self, event: PromptsEvent) -> None:
        """Log what the search returned, before any of it is scored on held-out texts."""
        rows = [
            [prompt.text, prompt.searcher, baseline, prompt.score_bits, prompt.cost_fte]
            for baseline, group in ((False, event.prompts), (True, event.baselines))
            for prompt in group
        ]
        self._table(
            "search/prompts", ("text", "searcher", "baseline", "score_bits", "cost_fte"), rows
        )

    @hookimpl
    def softdiv_report_ready(self, event: ReportEvent) -> None:
        """Log the held-out table of prompts and the verdict."""
        evaluation = event.report.evaluation
        rows = [
            [
                result.text,
                result.searcher,
                baseline,
                result.divergence_bits.value,
                result.divergence_bits.low,
                result.divergence_bits.high,
                result.llr_lift.value,
            ]
            for baseline, group in ((False, evaluation.prompts), (True, evaluation.baselines))
            for result in group
        ]
        self._table("test/prompts", COLUMNS, rows)
        verdict = evaluation.verdict
        self._log({"verdict": verdict.outcome, "headline": verdict.headline}, self._last)

    @hookimpl
    def softdiv_run_end(self, event: RunEvent) -> None:
        """Write what is still queued and close the trackio run."""
        if self._run is not None:
            with _quiet_and_offline():
                self._trackio.finish()
            self._run = None

    def _log(self, values: dict[str, Any], step: int) -> None:
        self._last = max(self._last, step)
        if self._run is not None:
            self._run.log(values, step=step)

    def _table(self, name: str, columns: tuple[str, ...], rows: list[list[Any]]) -> None:
        if self._run is not None:
            self._log({name: self._trackio.Table(columns=list(columns), data=rows)}, self._last)


@contextmanager
def _quiet_and_offline() -> Iterator[None]:
    """trackio prints, and asks the hub who is logged in even for a local run."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from huggingface_hub import constants

    before, state = constants.HF_HUB_OFFLINE, random.getstate()
    constants.HF_HUB_OFFLINE = True
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        constants.HF_HUB_OFFLINE = before
        random.setstate(state)  # what trackio imports draws from it, and training must not notice


@hookimpl
def softdiv_register_observers(register: Register[object]) -> None:
    """Register the observer."""
    register("trackio", TrackioObserver)
