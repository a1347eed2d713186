"""The loop that pushes two frozen models apart by a soft prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.config.load import ExperimentConfig
from softdiv.data.split import Split
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.sampler import Sampler
from softdiv.errors import Interrupted, TrainingError
from softdiv.pair.input_space import nearest_token_distance
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit, in_parts
from softdiv.plugin.events import (
    EvaluationEvent,
    TrainEvent,
    advance,
    set_metrics,
    with_gradient,
)
from softdiv.plugin.observers import Observers
from softdiv.ranks.group import join, together
from softdiv.storage.run import RunFolder
from softdiv.training.answers import Answers
from softdiv.training.checkpoint import BEST, METRICS, Progress
from softdiv.training.clock import Clock
from softdiv.training.continuation import (
    TIMINGS,
    Continuation,
    pool_ledger,
)
from softdiv.training.custom_loop import CustomLoop, configured_loss, configured_metrics
from softdiv.training.engine import Engine, make_engine
from softdiv.training.interruption import Interruption
from softdiv.training.loss_scale import LossScale
from softdiv.training.objective import Answered, Objective
from softdiv.training.precision import check_precision, computes_in_fp16
from softdiv.training.result import TrainingResult
from softdiv.training.schedule import Schedule
from softdiv.training.soft_prompt import DivergenceSoftPrompt, clip_rows, norm_ratio

ENDLESS = 10**9


class DivergenceTrainer(CustomLoop):
    """Trains one soft prompt: by :meth:`train`, or step by step in a loop of one's own.

    On one process or, under a launcher, on several alike.

    Args:
        pair: the two models; or give ``model_1`` and ``model_2``.
        loss: a loss, :class:`Rows` of N rows to ``[N]``, maximised; the config's by default.
        split: user texts; only :meth:`train` and :meth:`validate` need them.
        run: where metrics, checkpoints and the best prompt go; None keeps all in memory, as on
            every rank but 0. An unfinished training found there is continued.
        model_1, model_2: :class:`softdiv.ModelWrapper`, or transformers models with ``tokenizer``.
        metrics: what :meth:`compute_all_metrics` computes; one that brings only ``compute_*``
            methods is put beside the config's metrics.

    Raises:
        PairError: the models cannot be compared, or are not given.
        ConfigError, PluginError: the config's loss or a metric cannot be built.
    """

    def __init__(
        self,
        pair: ModelPair | None = None,
        config: ExperimentConfig = ExperimentConfig(),
        loss: Any = None,
        split: Split | None = None,
        run: RunFolder | None = None,
        observers: Observers | None = None,
        *,
        model_1: Any = None,
        model_2: Any = None,
        tokenizer: Any = None,
        metrics: DivergenceMetrics | None = None,
    ) -> None:
        if pair is None:
            pair = ModelPair.of(model_1, model_2, tokenizer, config=config.pair)
        training, device = config.training, pair.model_1.device
        check_precision(pair, training)
        settle = pair.lockstep.settle if pair.lockstep else None
        self.ranks = attrs.evolve(join(device.type), settle=settle)
        self.pair, self.config, self.history = pair, config, []
        self.split = split or Split(train=(), val=(), test=())
        self.loss = configured_loss(config) if loss is None else loss
        self.metrics = configured_metrics(config, metrics)
        self.run = run if self.ranks.first else None
        self.observers = observers or Observers()
        self.layout = pair.layout(training.placement)
        self.prompt = DivergenceSoftPrompt.create(pair.model_1, self.layout, training, config.seed)
        self.schedule = Schedule(self.split.train, training, config.seed)
        # a loop of one's own knows alone when it ends
        total = self.schedule.total_steps or training.max_steps or ENDLESS
        self.engine: Engine = make_engine(training, self.prompt, total)
        self.clock = Clock(device)
        self.objective = Objective(pair, self.layout, self.loss, training, self.clock)
        self.limit = RowLimit(config.generation.batch_rows, told=self._fewer_rows)
        sampler = Sampler.of(
            pair, config.generation, config.seed, limit=self.limit, ranks=self.ranks
        )
        self.answers = Answers(sampler, self.layout, training)
        self.continuation = Continuation(pair, self.engine, self.ranks, self.run)
        self.scale = LossScale.start(computes_in_fp16(pair, training))
        self.progress = Progress(micro_batch=training.batch_size)
        self._notes: list[str] = []
        self._shown = self.prompt.embeddings.detach().cpu().clone()
        """What observers see: kept, because gathering a sharded prompt needs every rank."""

    def train(self) -> TrainingResult:
        """Run to the end, or to an early stop.

        Raises:
            TrainingError: ``max_skipped_steps`` steps in a row had no finite loss or gradient, or
                one text alone does not fit into memory, or another rank is gone, or there are
                no texts, or no validation was finite.
            Interrupted: SIGINT or SIGTERM; a checkpoint was written after the current step.
        """
        self._check_texts()
        self._resume()
        if self.progress.steps == 0 and self._autocasts_on_a_cpu():
            self._note("mixed_precision: most CPUs train far more slowly with it than in fp32")
        if self.progress.steps == 0 and self.schedule.texts_per_step > len(self.split.train):
            self._note(
                f"a step takes {self.schedule.texts_per_step} texts and there are "
                f"{len(self.split.train)}: texts repeat within a step"
            )
        self._shown = self.engine.values().cpu()
        event = TrainEvent(
            run_dir=self.run.path if self.run else None,
            step=self.progress.steps,
            total_steps=self.schedule.total_steps,
            prompt=self._shown,
            rank=self.ranks.rank,
            stop_reason=self.progress.stop_reason,
            notes=self._taken_notes(),
        )
        self.observers.tell("train_start", event)
        with together(), Interruption() as interruption:
            while event.stop_reason is None and self.progress.steps < self.schedule.total_steps:
                self._one_step(event)
                self._stop_if_asked(interruption)
            if self.progress.validated_at != self.progress.steps:
                self._validate_and_keep_best()
            if self.continuation.saved_at != self.progress.steps:
                self._save()
            self._stop_if_asked(interruption)
        pool_ledger(self.pair.ledger, self.ranks)
        event.stop("all steps taken")
        self._tell("train_end", event)
        if self.progress.best_prompt is None or self.progress.best_bits is None:
            raise TrainingError(
                "no validation gave a finite divergence, so there is no prompt to keep",
                fix="lower training.learning_rate or max_norm_ratio, or load in float32",
            )
        return TrainingResult(
            prompt=self.progress.best_prompt,
            best_bits=self.progress.best_bits,
            steps=self.progress.steps,
            stop_reason=event.stop_reason or "",
            engine=self.engine.name,
            notes=tuple(self.progress.notes),
        )

    def optimizer_step(
        self, batch: Sequence[Answered], event: TrainEvent | None = None
    ) -> dict[str, float]:
        """One optimizer step on answered texts, every rank calling it with all of them.

        A step whose loss or gradient is not finite leaves prompt and optimizer as they were.

        Args:
            event: what observers are told of the gradient by; None tells them nothing.

        Raises:
            TrainingError: it was the last of ``max_skipped_steps`` such steps in a row.
        """
        training, guards = self.config.training, self.progress.guards
        rate, before = self.engine.learning_rate(), self.engine.values()
        loss, bits, gradient = self._gradient(before, batch)
        if event is not None:
            gradient = gradient * self._wanted_scale(event, gradient)
        norm = float(gradient.norm())
        finite = math.isfinite(loss) and math.isfinite(norm)
        explained = self.scale.after(finite)
        after = before
        if finite:
            self.engine.step(gradient)
            after = self.engine.values()
            if training.max_norm_ratio is not None:
                after = clip_rows(after, training.max_norm_ratio * self.prompt.mean_norm)
                self.engine.assign(after)
            reason = guards.finite(norm, not torch.equal(before, after))
            self.progress.stop_reason = self.progress.stop_reason or reason
        else:
            what = "gradient" if math.isfinite(loss) else "loss"
            limit = training.max_skipped_steps
            guards.not_finite(self.progress.steps, what, limit, explained)
        self._shown = after.cpu()
        return {
            "loss": loss,
            "divergence": bits,
            "grad_norm": norm,
            "norm_ratio": norm_ratio(after, self.prompt.mean_norm),
            "nearest_token": nearest_token_distance(
                self.pair.model_1, after, self.prompt.mean_norm
            ),
            "learning_rate": rate,
            "skipped_steps": float(guards.skipped),
            "fte": float(sum(self.ranks.gather(self.pair.ledger.total))),
        }

    def validate(self) -> float:
        """Mean bits of fresh answers to validation texts, prompt in place.

        The same texts and random numbers every time; every second text is answered by model_2.

        Raises:
            TrainingError: there are no validation texts.
        """
        self._check_texts()
        examples = self.split.val[: self.config.training.validation_texts]
        with self.pair.ledger.phase("validation"), self.clock.part("validation"):
            return self.answers.mean_bits(examples, self.engine.values())

    def _one_step(self, event: TrainEvent) -> None:
        training, progress = self.config.training, self.progress
        advance(event, step=progress.steps)
        set_metrics(event, {}, fresh=True)
        self._tell("before_step", event)
        if not progress.pending:
            with self.pair.ledger.phase("training"), self.clock.part("rollouts"):
                progress.pending = self.answers.for_steps(
                    self.schedule, progress.steps, self.engine.values()
                )
        examples = [draw.example for draw in self.schedule.step(progress.steps)]
        batch = list(zip(examples, progress.pending.pop(0), strict=True))
        set_metrics(event, self.optimizer_step(batch, event))
        progress.steps += 1
        if progress.steps % training.validate_every == 0:
            set_metrics(event, {"validation_bits": self._validate_and_keep_best()})
            if training.patience is not None and progress.without_gain >= training.patience:
                reason = f"no better in {progress.without_gain} validations"
                progress.stop_reason = progress.stop_reason or reason
        timings = self.clock.lap(sum(len(answer) for _, answer in batch))
        advance(event, timings=MappingProxyType(timings), notes=tuple(self._taken_notes()))
        self._tell("step_end", event)
        # any rank's observer may stop the training, and then all ranks stop
        reasons = [progress.stop_reason, *self.ranks.gather(event.stop_reason)]
        progress.stop_reason = next((reason for reason in reasons if reason is not None), None)
        advance(event, stop_reason=progress.stop_reason)
        self._write(event)
        if progress.steps % training.checkpoint_every == 0:
            self._save()

    def _gradient(self, soft: Tensor, batch: Sequence[Answered]) -> tuple[float, float, Tensor]:
        """Loss, mean JSD in bits and gradient of a step, summed over micro-batches and ranks."""
        tokens = sum(len(answer) for _, answer in batch)
        gradient, loss, bits = torch.zeros_like(soft), 0.0, 0.0

        def work(part: Sequence[Answered]) -> tuple[Tensor, float, float]:
            found = self.objective.partial(soft, part, tokens, self.scale.value)
            return found.gradient, found.loss, found.bits

        own, size = self.ranks.part(batch), self.progress.micro_batch
        with self.objective.charged(batch, len(soft), pays=self.ranks.first):
            for part in in_parts(own, size, work, self._smaller_micro_batch):
                gradient += part[0]
                loss, bits = loss + part[1], bits + part[2]
        self.ranks.total(gradient)
        sums = [sum(column) for column in zip(*self.ranks.gather([loss, bits]), strict=True)]
        return sums[0], sums[1], gradient / self.scale.value

    def _tell(self, hook: str, event: TrainEvent) -> None:
        if self.observers.hears(hook):
            advance(event, prompt=self._shown.clone())
            self.observers.tell(hook, event)

    def _wanted_scale(self, event: TrainEvent, gradient: Tensor) -> float:
        """Let observers see the accumulated gradient; rank 0's factor holds on every rank."""
        if self.observers.hears("gradient_ready"):
            seen = with_gradient(self._shown.clone(), gradient.detach().cpu().clone())
            advance(event, prompt=seen, gradient_scale=1.0)
            self.observers.tell("gradient_ready", event)
            advance(event, prompt=with_gradient(seen, None))
        factor: float = self.ranks.share(event.gradient_scale)
        return factor

    def _write(self, event: TrainEvent) -> None:
        if self.run is None:
            return
        numbers = {k: v if math.isfinite(v) else None for k, v in event.metrics.items()}
        self.run.append(METRICS, {"step": event.step, **numbers})
        self.run.append(TIMINGS, {"step": event.step, **event.timings})

    def _save(self) -> None:
        progress = self.progress
        progress.loss_scale, progress.finite_since_scaled = self.scale.value, self.scale.finite
        progress.rollout_rows = self.limit.rows
        progress.observers = self.observers.states()
        self.continuation.save(progress, self.config.training.keep_checkpoints)

    def _resume(self) -> None:
        found = self.continuation.restore()
        if found is None:
            return
        self._notes += found.notes[len(self.progress.notes) :]
        self.progress = found
        self.scale.value, self.scale.finite = found.loss_scale, found.finite_since_scaled
        self.limit.rows = found.rollout_rows
        self.observers.restore(found.observers)

    def _stop_if_asked(self, interruption: Interruption) -> None:
        """A signal reaches the ranks at different moments; all stop after the same step."""
        asked = [name for name in self.ranks.gather(interruption.asked) if name]
        if not asked:
            return
        if self.continuation.saved_at != self.progress.steps:
            self._save()
        raise Interrupted(f"{asked[0]}: stopped after step {self.progress.steps}, all is saved")

    def _validate_and_keep_best(self) -> float:
        bits, progress = self.validate(), self.progress
        progress.validated_at = progress.steps
        best = -math.inf if progress.best_bits is None else progress.best_bits
        if math.isfinite(bits) and bits > best:
            progress.best_bits, progress.without_gain = bits, 0
            progress.best_prompt = self.engine.values().cpu()
            if self.run is not None:
                self.prompt.copy_of(progress.best_prompt).save(self.run.path / BEST)
        else:
            progress.without_gain += 1
        self.observers.tell(
            "evaluation_end",
            EvaluationEvent(
                split="val",
                step=progress.steps,
                divergence_bits=bits,
                best_bits=math.nan if progress.best_bits is None else progress.best_bits,
            ),
        )
        return bits

    def _check_texts(self) -> None:
        if not self.split.train or not self.split.val:
            raise TrainingError(
                "there are no texts to train on",
                fix="give split=..., or call training_step(batch) in a loop of your own",
            )

    def _autocasts_on_a_cpu(self) -> bool:
        return self.config.training.mixed_precision and self.pair.model_1.device.type == "cpu"

    def _smaller_micro_batch(self, size: int) -> None:
        self.progress.micro_batch = size
        self._note(
            f"out of memory at step {self.progress.steps}: {size} text(s) per forward pass from "
            "here on; the batch of a step and its gradient stay the same"
        )

    def _fewer_rows(self, line: str) -> None:
        self._note(line.replace(":", f" at step {self.progress.steps}:", 1))

    def _note(self, line: str) -> None:
        self.progress.notes.append(line)
        self._notes.append(line)
        if self.run is not None:
            self.run.event("note", line=line)

    def _taken_notes(self) -> list[str]:
        taken, self._notes = self._notes, []
        return taken
