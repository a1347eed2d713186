"""Built-in plugin: observer ``wandb``, offline unless a mode is given."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from softdiv import hookimpl
from softdiv.errors import PluginError
from softdiv.plugin.events import ReportEvent, RunEvent, TrainEvent
from softdiv.plugin.registry import Register


@attrs.define(kw_only=True, eq=False)
class WandbObserver:
    """Scalars of training and the verdict, to Weights & Biases."""

    project: str = "softdiv"
    """wandb project."""
    mode: Literal["offline", "online"] = "offline"
    """offline writes into the run folder and needs no account."""
    _run: Any = attrs.field(init=False, default=None)

    @hookimpl
    def softdiv_run_start(self, event: RunEvent) -> None:
        """Open the wandb run. Raises PluginError when wandb is not installed."""
        try:
            import wandb
        except ImportError as error:
            raise PluginError(
                "wandb is not installed", fix="pip install 'softdiv[wandb]'"
            ) from error
        self._run = wandb.init(
            project=self.project,
            mode=self.mode,
            dir=str(event.run_dir),
            config=event.config.to_dict(),
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
        self._run.log(dict(event.metrics), step=event.step)

    @hookimpl
    def softdiv_report_ready(self, event: ReportEvent) -> None:
        """Log the verdict."""
        verdict = event.report.evaluation.verdict
        self._run.summary.update({"outcome": verdict.outcome, "headline": verdict.headline})

    @hookimpl
    def softdiv_run_end(self, event: RunEvent) -> None:
        """Close the wandb run."""
        if self._run is not None:
            self._run.finish(exit_code=0 if event.error is None else 1)


@hookimpl
def softdiv_register_observers(register: Register) -> None:
    """Register the observer."""
    register("wandb", WandbObserver)
