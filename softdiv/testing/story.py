"""The events of a small run, told to one observer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pluggy

from softdiv.config.load import ExperimentConfig
from softdiv.evaluation.results import Evaluation, Verdict
from softdiv.plugin.contract import hook_callers
from softdiv.plugin.events import (
    EvaluationEvent,
    PromptsEvent,
    ReportEvent,
    RunEvent,
    SearchEvent,
    TrainEvent,
    advance,
    set_metrics,
    with_gradient,
)
from softdiv.plugin.hookspecs import Event, Hooks
from softdiv.plugin.records import HardPrompt
from softdiv.report.model import Report
from softdiv.storage.atomic import write_text

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 4


@attrs.frozen
class Told:
    """What an observer left behind."""

    metrics: list[dict[str, float]]
    """Each step's numbers after the observer saw them."""
    stop_reason: str | None


@attrs.define(eq=False, kw_only=True)
class Story:
    """A run in ``folder``: every lifecycle hook, in order."""

    observer: object
    prompt: Tensor
    folder: Path
    told: Told = attrs.field(init=False, factory=lambda: Told([], None))
    _calls: dict[str, pluggy.HookCaller] = attrs.field(init=False)
    _train: TrainEvent = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._calls = hook_callers(self.observer, "observer", "observer")
        self._train = TrainEvent(run_dir=self.folder, step=0, total_steps=STEPS, prompt=self.prompt)

    def whole(self) -> Told:
        """From run_start to run_end."""
        self.start()
        self.train(range(STEPS))
        self.search_and_report()
        self.end()
        return self.told

    def start(self) -> None:
        """The run begins."""
        self._tell(
            Hooks.softdiv_run_start, RunEvent(run_dir=self.folder, config=ExperimentConfig())
        )

    def train(self, steps: Iterable[int], *, ends: bool = True) -> None:
        """Training of these steps, with a validation after every second one."""
        event = self._train
        advance(event, step=next(iter(steps), 0))
        self._tell(Hooks.softdiv_train_start, event)
        for step in steps:
            own = {"loss": -0.1 * step, "divergence": 0.1 * step, "grad_norm": 0.5}
            advance(event, step=step)
            set_metrics(event, {}, fresh=True)
            self._tell(Hooks.softdiv_before_step, event)
            advance(event, prompt=with_gradient(event.prompt, 0.1 * event.prompt.detach()))
            self._tell(Hooks.softdiv_gradient_ready, event)
            advance(event, prompt=with_gradient(event.prompt, None))
            set_metrics(event, own)
            self._tell(Hooks.softdiv_step_end, event)
            self.told.metrics.append(dict(event.metrics))
            if step % 2:
                bits = 0.1 * step
                self._tell(
                    Hooks.softdiv_evaluation_end,
                    EvaluationEvent(split="val", step=step, divergence_bits=bits, best_bits=bits),
                )
        if ends:
            self._tell(Hooks.softdiv_train_end, event)
        self.told = attrs.evolve(self.told, stop_reason=event.stop_reason)

    def search_and_report(self) -> None:
        """Everything between training and the end of the run."""
        found = (HardPrompt(text="Tell me of the sea.", searcher="kit", score_bits=0.2),)
        self._tell(
            Hooks.softdiv_search_step, SearchEvent(stage="halving", prompts=found, spent_fte=1000)
        )
        self._tell(Hooks.softdiv_prompts_found, PromptsEvent(prompts=found, baselines=()))
        file = self.folder / "report.md"
        write_text(file, "# A report\n")
        self._tell(Hooks.softdiv_report_ready, ReportEvent(report=_report(), files=[file]))

    def end(self, error: BaseException | None = None) -> None:
        """The run is over, or has failed."""
        event = RunEvent(run_dir=self.folder, config=ExperimentConfig(), error=error)
        self._tell(Hooks.softdiv_run_end, event)

    def _tell(self, hook: Callable[[Hooks, Event], None], event: Event) -> None:
        if call := self._calls.get(hook.__name__):
            call(event=event)


def prompt() -> Tensor:
    """A soft prompt, as observers see one."""
    import torch

    return torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


def tell_whole_run(observer: object, soft_prompt: Tensor) -> Told:
    """The whole story, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return Story(observer=observer, prompt=soft_prompt, folder=Path(folder)).whole()


def _report() -> Report:
    verdict = Verdict(
        outcome="no difference found",
        headline="No difference was found.",
        differ_at_all="no",
        concentrated="no",
        rule="lift > 12 nats",
    )
    evaluation = Evaluation(verdict=verdict, prompts=(), baselines=(), soft_bits=None, test_texts=0)
    return Report(
        pair={"name": "kit", "model_1": None, "model_2": None, "notes": [], "identical": False},
        evaluation=evaluation,
        training={"steps": STEPS, "best_bits": 0.2, "stop_reason": None, "engine": "torch"},
        training_curve=None,
        sections=(),
        ledger={"total": 0},
        seconds={},
        config=ExperimentConfig().to_dict(),
        machine={},
        reproduce="",
    )
