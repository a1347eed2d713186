"""What a waiting user sees: plain lines, or on a terminal one line that is rewritten."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.markup import escape

from softdiv.cli.terminal import printable, show
from softdiv.cli.ticker import Ticker, expected_fte
from softdiv.plain_text import one_line
from softdiv.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from softdiv.plugin.events import (
        EvaluationEvent,
        PromptsEvent,
        ReportEvent,
        RunEvent,
        SearchEvent,
        TrainEvent,
    )

LINES_PER_TRAINING = 10
EVERY, EVERY_ON_TERMINAL = 30.0, 1.0
"""Seconds between lines that say how far the stage is."""


class ProgressObserver:
    """Prints the stages of a run on ``console``; silent on every rank but 0."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._silent = False
        self._turn = threading.RLock()
        self.ticker = Ticker(self._tick)
        """Its ``spent`` may be set to what a run has charged so far."""

    @hookimpl
    def softdiv_run_start(self, event: RunEvent) -> None:
        """Name the run folder."""
        self._silent = event.rank != 0
        self._print(f"run folder: {event.run_dir}")
        self._stage("loading the models")
        if not self._silent:
            self.ticker.expected = expected_fte(event.config) if event.config else {}
            self.ticker.start(EVERY_ON_TERMINAL if self._console.is_terminal else EVERY)

    @hookimpl
    def softdiv_train_start(self, event: TrainEvent) -> None:
        """Say how long training will be."""
        self._notes(event)
        start = f" (continued at step {event.step})" if event.step else ""
        self._print(f"training the soft prompt: {event.total_steps} steps{start}")

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        """Each step on a terminal, every tenth of the training elsewhere."""
        done = event.step + 1
        self.ticker.steps = (done, event.total_steps)
        self._notes(event)
        line = f"step {done}/{event.total_steps}{_metrics(event.metrics)}{_timings(event.timings)}"
        if self._console.is_terminal:
            self._now(line)
        elif done % max(1, event.total_steps // LINES_PER_TRAINING) == 0:
            self._print(line)

    @hookimpl
    def softdiv_evaluation_end(self, event: EvaluationEvent) -> None:
        """A validation of the soft prompt, or the held-out scoring."""
        what = f"validation at step {event.step}" if event.split == "val" else "held-out texts"
        self._print(f"{what}: D {event.divergence_bits:.4f} bits, best {event.best_bits:.4f}")

    @hookimpl
    def softdiv_train_end(self, event: TrainEvent) -> None:
        """The search follows."""
        if event.stop_reason:
            self._print(f"training stopped: {event.stop_reason}")
        self._stage("searching text prompts")

    @hookimpl
    def softdiv_search_step(self, event: SearchEvent) -> None:
        """How many prompts a stage left, and the best of them."""
        best = f", best {one_line(event.prompts[0].text, 60)!r}" if event.prompts else ""
        self._print(
            f"{event.stage}: {len(event.prompts)} prompts, {event.spent_fte:,} FTE so far{best}"
        )

    @hookimpl
    def softdiv_prompts_found(self, event: PromptsEvent) -> None:
        """What goes to the held-out evaluation."""
        self._print(f"found {len(event.prompts)} text prompts, {len(event.baselines)} baselines:")
        for prompt in event.prompts:
            self._print(f"  {one_line(prompt.searcher)}: {one_line(prompt.text, 100)}")
        self._stage("scoring them on held-out texts")

    @hookimpl
    def softdiv_report_ready(self, event: ReportEvent) -> None:
        """The verdict follows on standard output."""
        self._stop()

    @hookimpl
    def softdiv_run_end(self, event: RunEvent) -> None:
        """Leave the terminal as it was, also after a failure."""
        self._stop()

    def _notes(self, event: TrainEvent) -> None:
        for line in event.notes:
            self._print(line)

    def _print(self, line: str) -> None:
        if not self._silent:
            show(self._console, line)

    def _stage(self, what: str) -> None:
        self.ticker.begin(what)
        self._now(what)

    def _tick(self, line: str) -> None:
        """From the ticker's thread: a new line where there is no terminal to rewrite one on."""
        with self._turn:
            if self.ticker.stopped:  # while this line was made
                return
            if self._console.is_terminal:
                self._now(line)
            else:
                self._print(line)

    def _now(self, line: str) -> None:
        if self._silent or not self._console.is_terminal:
            return
        with self._turn:
            if self._status is None:
                self._status = self._console.status(escape(printable(line)))
                self._status.start()
            else:
                self._status.update(escape(printable(line)))

    def _stop(self) -> None:
        with self._turn:
            self.ticker.stop()
            if self._status is not None:
                self._status.stop()
                self._status = None


SHOWN: tuple[tuple[str, str], ...] = (
    ("divergence", "D {:.4f} bits"),
    ("grad_norm", "gradient {:.2g}"),
    ("norm_ratio", "norm {:.2f}"),
    ("nearest_token", "nearest token {:.2f}"),
    ("learning_rate", "rate {:.2g}"),
)
"""Of ``metrics.jsonl``; norms and distances in mean norms of the embedding table."""
SHARES = ("model_1", "model_2", "divergence", "rollouts", "validation")


def _metrics(metrics: Mapping[str, float]) -> str:
    return "".join(f", {form.format(metrics[name])}" for name, form in SHOWN if name in metrics)


def _timings(timings: Mapping[str, float]) -> str:
    if not timings:
        return ""
    shares = {name: round(100 * timings.get(f"share_{name}", 0.0)) for name in SHARES}
    spent = " ".join(f"{name} {share}%" for name, share in shares.items() if share)
    return (
        f", {timings['tokens_per_s']:.0f} tokens/s ({spent}), "
        f"peak {timings['peak_memory_gib']:.1f} GiB"
    )
