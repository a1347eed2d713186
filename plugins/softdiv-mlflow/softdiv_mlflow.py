"""A softdiv plugin: observer ``mlflow``, a run's settings, numbers and report in MLflow."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
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
FOLDER_TAG = "softdiv.run_dir"
"""By which a continued run folder finds its MLflow run again."""
BATCH = 100
"""Parameters of one request, MLflow's limit."""


@attrs.define(kw_only=True, eq=False)
class MlflowObserver:
    """Settings as parameters, scalars at each step, tables of prompts, the verdict as tags.

    User texts and both models' answers are in the report: with a server as ``tracking_uri`` they
    leave this machine. Secrets in the config are redacted.
    """

    experiment: str = "softdiv"
    """MLflow experiment; each softdiv run becomes one of its runs, named after its folder."""
    tracking_uri: str = ""
    """Server or database; by default MLflow's own: MLFLOW_TRACKING_URI, else ``mlflow.db`` in the
    current folder."""
    upload_report: bool = True
    """Log the report's files as artifacts."""
    _client: Any = attrs.field(init=False, default=None)
    _run: str = attrs.field(init=False, default="")

    @hookimpl
    def softdiv_run_start(self, event: RunEvent) -> None:
        """Open the MLflow run, or go on with that of the same folder (rank 0 only)."""
        if event.rank != 0:
            return
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for name in ("mlflow", "alembic"):  # they tell of every table they make
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = MlflowClient(tracking_uri=self.tracking_uri or None)
        found = self._client.get_experiment_by_name(self.experiment)
        place = found.experiment_id if found else self._client.create_experiment(self.experiment)
        folder = str(event.run_dir.resolve()).replace("'", "")  # MLflow's filters cannot quote it
        wanted = f"tags.`{FOLDER_TAG}` = '{folder}'"
        before = self._client.search_runs([place], wanted, max_results=1)
        if before:
            self._run = before[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        name, tags = event.run_dir.name, {FOLDER_TAG: folder}
        self._run = self._client.create_run(place, run_name=name, tags=tags).info.run_id
        config = redacted(event.config.to_dict())
        settings = [Param(name, str(value)[:500]) for name, value in _flat(config)]
        for start in range(0, len(settings), BATCH):
            self._client.log_batch(self._run, params=settings[start : start + BATCH])
        self._client.log_dict(self._run, config, "config.json")

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        """Log the step's numbers."""
        for name, value in event.metrics.items():
            self._metric(f"train/{name}", value, event.step)

    @hookimpl
    def softdiv_evaluation_end(self, event: EvaluationEvent) -> None:
        """Log D on the validation or held-out texts, bits."""
        self._metric(f"{event.split}/divergence_bits", event.divergence_bits, event.step)

    @hookimpl
    def softdiv_prompts_found(self, event: PromptsEvent) -> None:
        """Log what the search returned, before any of it is scored on held-out texts."""
        rows = [
            {"text": p.text, "searcher": p.searcher, "score_bits": p.score_bits, "baseline": base}
            for base, group in ((False, event.prompts), (True, event.baselines))
            for p in group
        ]
        self._table(rows, "search/prompts.json")

    @hookimpl
    def softdiv_report_ready(self, event: ReportEvent) -> None:
        """Log the held-out table of prompts, the verdict, and the report's files."""
        if self._client is None:
            return
        evaluation = event.report.evaluation
        rows = [
            {
                "text": r.text,
                "searcher": r.searcher,
                "divergence_bits": r.divergence_bits.value,
                "llr_lift": r.llr_lift.value,
                "baseline": base,
            }
            for base, group in ((False, evaluation.prompts), (True, evaluation.baselines))
            for r in group
        ]
        self._table(rows, "test/prompts.json")
        self._client.set_tag(self._run, "verdict", evaluation.verdict.outcome)
        self._client.set_tag(self._run, "headline", evaluation.verdict.headline)
        for file in event.files if self.upload_report else ():
            self._client.log_artifact(self._run, str(file), "report")

    @hookimpl
    def softdiv_run_end(self, event: RunEvent) -> None:
        """Close the MLflow run."""
        if self._client is not None:
            status = "FINISHED" if event.error is None else "FAILED"
            self._client.set_terminated(self._run, status)
            self._client = None

    def _metric(self, name: str, value: float, step: int) -> None:
        if self._client is not None:
            self._client.log_metric(self._run, name, value, step=step)

    def _table(self, rows: list[dict[str, Any]], file: str) -> None:
        if self._client is not None:
            self._client.log_dict(self._run, {"rows": rows}, file)


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; an empty table has none."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


@hookimpl
def softdiv_register_observers(register: Register[object]) -> None:
    """Register the observer."""
    register("mlflow", MlflowObserver)
