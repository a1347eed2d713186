"""The story of a training: steps, validations and checkpoints until there is a reason to stop."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import MappingProxyType

from torch import Tensor

from softdiv.errors import Interrupted, TrainingError
from softdiv.plugin.events import EvaluationEvent, TrainEvent, advance, set_metrics, with_gradient
from softdiv.plugin.hookspecs import Hooks
from softdiv.ranks.group import together
from softdiv.storage.names import BEST
from softdiv.training.interruption import Interruption
from softdiv.training.parts import TrainingParts
from softdiv.training.result import TrainingResult


class TrainingLoop:
    """What :meth:`DivergenceTrainer.train` runs, on every rank."""

    def __init__(self, parts: TrainingParts) -> None:
        self.parts, self.progress, self.best = parts, parts.progress, parts.best
        self._look()

    def run(self) -> TrainingResult:
        """Go on from the newest checkpoint, to the end or to an early stop.

        Raises:
            TrainingError, Interrupted: see :meth:`DivergenceTrainer.train`.
        """
        event, schedule = self.start(), self.parts.schedule
        with together(), Interruption() as interruption:
            while event.stop_reason is None and self.progress.steps < schedule.total_steps:
                self.one_step(event)
                self._stop_if_asked(interruption)
            if self.best.validated_at != self.progress.steps:
                self._validate()
            self._save()
            self._stop_if_asked(interruption)
        self.parts.costs.pool()
        event.stop("all steps taken")
        self._tell(Hooks.softdiv_train_end, event)
        if self.best.prompt is None or self.best.bits is None:
            raise TrainingError(
                "no validation gave a finite divergence, so there is no prompt to keep",
                fix="lower training.learning_rate or max_norm_ratio, or load in float32",
            )
        return TrainingResult(
            prompt=self.best.prompt,
            best_bits=self.best.bits,
            steps=self.progress.steps,
            stop_reason=event.stop_reason or "",
            engine=self.parts.engine.name,
            notes=tuple(self.parts.journal.notes),
        )

    def start(self) -> TrainEvent:
        """Resume; the event that observers are told of from here on."""
        parts, journal = self.parts, self.parts.journal
        parts.resume(parts.checkpoints)
        if self.progress.steps == 0:
            size, count = parts.schedule.texts_per_step, len(parts.schedule.examples)
            if parts.config.mixed_precision and parts.pair.model_1.device.type == "cpu":
                journal.note(
                    "mixed_precision: most CPUs train far more slowly with it than in fp32"
                )
            if size > count:
                why = "texts repeat within a step"
                journal.note(f"a step takes {size} texts and there are {count}: {why}")
        self._look()
        event = TrainEvent(
            run_dir=parts.run.path if parts.run else None,
            step=self.progress.steps,
            total_steps=parts.schedule.total_steps,
            prompt=self._shown,
            rank=parts.ranks.rank,
            stop_reason=self.progress.stop_reason,
            notes=journal.untold(),
        )
        self._tell(Hooks.softdiv_train_start, event)
        return event

    def one_step(self, event: TrainEvent) -> None:
        """Answers, the optimizer's step, and what is due after it."""
        parts, progress = self.parts, self.progress
        advance(event, step=progress.steps)
        set_metrics(event, {}, fresh=True)
        self._tell(Hooks.softdiv_before_step, event)
        with parts.pair.ledger.phase("training"), parts.clock.part("rollouts"):
            batch = parts.answers.to_step(parts.schedule, progress.steps, parts.engine.values())
        factor = functools.partial(self._wanted_factor, event)
        set_metrics(event, parts.step.take(batch, progress.steps, factor))
        self._look()
        progress.steps += 1
        reasons = [parts.step.guards.stop_reason]
        if progress.steps % parts.config.validate_every == 0:
            set_metrics(event, {"validation_bits": self._validate()})
            reasons.append(self.best.stop_reason)
        timings = parts.clock.lap(sum(len(answer) for _, answer in batch))
        advance(event, timings=MappingProxyType(timings), notes=parts.journal.untold())
        self._tell(Hooks.softdiv_step_end, event)
        # any rank's observer may stop the training, and then all ranks stop
        reasons += parts.ranks.gather(event.stop_reason)
        progress.stop_reason = next((reason for reason in reasons if reason is not None), None)
        advance(event, stop_reason=progress.stop_reason)
        parts.journal.write(event)
        if progress.steps % parts.config.checkpoint_every == 0:
            self._save()

    def _validate(self) -> float:
        parts, steps, best = self.parts, self.progress.steps, self.best
        bits, values = parts.validate(), parts.engine.values()
        if best.offer(bits, values, steps) and parts.run is not None:
            parts.prompt.copy_of(values.cpu()).save(parts.run.path / BEST)
        found = math.nan if best.bits is None else best.bits
        event = EvaluationEvent(split="val", step=steps, divergence_bits=bits, best_bits=found)
        parts.observers.tell(Hooks.softdiv_evaluation_end, event)
        return bits

    def _save(self) -> None:
        if self.parts.checkpoints.saved_at != self.progress.steps:
            self.parts.checkpoints.save(self.progress.steps)

    def _stop_if_asked(self, interruption: Interruption) -> None:
        """A signal reaches the ranks at different moments; all stop after the same step."""
        asked = [name for name in self.parts.ranks.gather(interruption.asked) if name]
        if asked:
            self._save()
            raise Interrupted(f"{asked[0]}: stopped after step {self.progress.steps}, all is saved")

    def _look(self) -> None:
        """Keep what observers see: gathering a sharded prompt needs every rank."""
        self._shown = self.parts.engine.values().cpu()

    def _tell(self, hook: Callable[[Hooks, TrainEvent], None], event: TrainEvent) -> None:
        if self.parts.observers.hears(hook):
            advance(event, prompt=self._shown.clone())
            self.parts.observers.tell(hook, event)

    def _wanted_factor(self, event: TrainEvent, gradient: Tensor) -> float:
        """Let observers see the accumulated gradient; rank 0's factor holds on every rank."""
        if self.parts.observers.hears(Hooks.softdiv_gradient_ready):
            seen = with_gradient(self._shown.clone(), gradient.detach().cpu().clone())
            advance(event, prompt=seen, gradient_scale=1.0)
            self.parts.observers.tell(Hooks.softdiv_gradient_ready, event)
            advance(event, prompt=with_gradient(seen, None))
        factor: float = self.parts.ranks.share(event.gradient_scale)
        return factor
