"""Built-in plugin: observer ``wandb``. The only place that imports wandb."""

from __future__ import annotations

import netrc
import os
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from softdiv import Register, hookimpl
from softdiv.config.redact import redacted
from softdiv.errors import PluginError
from softdiv.plugin.events import EvaluationEvent, ReportEvent, RunEvent, TrainEvent

COLUMNS = (
    "text",
    "searcher",
    "baseline",
    "divergence_bits",
    "low",
    "high",
    "llr_lift",
    "perplexity",
)


@attrs.define(kw_only=True, eq=False)
class WandbObserver:
    """Scalars of training, the table of prompts and the report, to Weights & Biases.

    User texts and both models' answers are in the report: with ``mode = "online"`` they leave
    this machine. Secrets in the config are redacted.
    """

    project: str = "softdiv"
    """wandb project."""
    mode: Literal["auto", "offline", "online"] = "auto"
    """auto is WANDB_MODE where set, else online with a key (WANDB_API_KEY, netrc), else offline."""
    upload_report: bool = True
    """Log the report's files as an artifact."""
    _run: Any = attrs.field(init=False, default=None)
    _wandb: Any = attrs.field(init=False, default=None)

    @hookimpl
    def softdiv_run_start(self, event: RunEvent) -> None:
        """Open the wandb run (rank 0 only). Raises PluginError when wandb is not installed."""
        if event.rank != 0:
            return
        try:
            import wandb
        except ImportError as error:
            raise PluginError(
                "wandb is not installed", fix="pip install 'softdiv[wandb]'"
            ) from error
        self._wandb = wandb
        self._run = wandb.init(
            project=self.project,
            mode=_resolved(self.mode),
            dir=str(event.run_dir),
            name=event.run_dir.name,
            config=redacted(event.config.to_dict()),
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                x_disable_stats=True,
                x_disable_meta=True,
                save_code=False,
            ),
        )

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        """Log the step's numbers."""
        if self._run is not None:
            self._run.log({f"train/{k}": v for k, v in event.metrics.items()}, step=event.step)

    @hookimpl
    def softdiv_evaluation_end(self, event: EvaluationEvent) -> None:
        """Log the divergence on the texts of this split."""
        if self._run is not None:
            self._run.log(
                {f"{event.split}/divergence_bits": event.divergence_bits}, step=event.step
            )

    @hookimpl
    def softdiv_report_ready(self, event: ReportEvent) -> None:
        """Log the verdict, the table of prompts, and the report as an artifact."""
        if self._run is None:
            return
        evaluation = event.report.evaluation
        verdict = evaluation.verdict
        self._run.summary.update({"outcome": verdict.outcome, "headline": verdict.headline})
        table = self._wandb.Table(columns=list(COLUMNS), data=_rows(evaluation))
        self._run.log({"prompts": table})
        if self.upload_report:
            artifact = self._wandb.Artifact(f"report-{self._run.id}", type="report")
            for file in event.files:
                artifact.add_file(str(file))
            self._run.log_artifact(artifact)

    @hookimpl
    def softdiv_run_end(self, event: RunEvent) -> None:
        """Close the wandb run."""
        if self._run is not None:
            self._run.finish(exit_code=0 if event.error is None else 1)


def _rows(evaluation: Any) -> list[list[Any]]:
    return [
        [
            result.text,
            result.searcher,
            baseline,
            result.divergence_bits.value,
            result.divergence_bits.low,
            result.divergence_bits.high,
            result.llr_lift.value,
            result.perplexity,
        ]
        for baseline, group in ((False, evaluation.prompts), (True, evaluation.baselines))
        for result in group
    ]


def _resolved(mode: str) -> Any:
    if mode != "auto":
        return mode
    return os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@hookimpl
def softdiv_register_observers(register: Register[object]) -> None:
    """Register the observer."""
    register("wandb", WandbObserver)
