"""The loop that pushes two frozen models apart by a soft prompt."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from softdiv.config.load import ExperimentConfig
from softdiv.data.split import Split
from softdiv.divergence.chunked import row_values
from softdiv.divergence.kernels import jsd
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, rollout
from softdiv.errors import TrainingError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.teacher_forcing import response_states, targets_of
from softdiv.plugin.events import (
    EvaluationEvent,
    TrainEvent,
    advance,
    set_metrics,
    with_gradient,
)
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import Example, Rows
from softdiv.storage import atomic
from softdiv.storage.run import RunFolder
from softdiv.training import checkpoint
from softdiv.training.checkpoint import Progress
from softdiv.training.engine import Engine, make_engine
from softdiv.training.schedule import Schedule
from softdiv.training.soft_prompt import DivergenceSoftPrompt, clip_rows, norm_ratio

METRICS = "metrics.jsonl"
BEST = "soft_prompts/best.safetensors"
CHECKPOINTS = "checkpoints"
DEAD_STEPS = 10
"""Steps in a row with a gradient of exactly zero before training gives up."""

Answered = tuple[Example, Sequence[int]]
"""A user text and the token ids of an answer to it."""


@attrs.frozen(kw_only=True, eq=False)
class TrainingResult:
    """What training found."""

    prompt: Tensor
    """``[k, H]`` fp32 on the CPU, the best by validation."""
    best_bits: float
    """Its validation divergence."""
    steps: int
    stop_reason: str
    engine: str


class DivergenceTrainer:
    """Trains one soft prompt.

    Args:
        loss: a loss, :class:`Rows` of N rows to ``[N]``, maximised.
        run: where metrics, checkpoints and the best prompt go; None keeps all in memory.
            An unfinished training found there is continued.
    """

    def __init__(
        self,
        pair: ModelPair,
        config: ExperimentConfig,
        loss: Any,
        split: Split,
        run: RunFolder | None = None,
        observers: Observers | None = None,
    ) -> None:
        self.pair, self.config, self.loss, self.split, self.run = pair, config, loss, split, run
        self.observers = observers or Observers()
        training = config.training
        self.layout = Layout(pair.tokenizer, training.placement)
        self.prompt = DivergenceSoftPrompt.create(pair.model_1, self.layout, training, config.seed)
        self.engine: Engine = make_engine(training, self.prompt)
        self.schedule = Schedule(split.train, training, config.seed)
        self.progress = Progress()
        self._sampling = Sampling(
            temperature=config.generation.temperature, top_p=config.generation.top_p
        )

    def train(self) -> TrainingResult:
        """Run to the end, or to an early stop.

        Raises:
            TrainingError: the loss or the gradient is not finite.
        """
        self._resume()
        event = TrainEvent(
            run_dir=self.run.path if self.run else None,
            step=self.progress.steps,
            total_steps=self.schedule.total_steps,
            prompt=self.engine.values().cpu(),
            stop_reason=self.progress.stop_reason,
        )
        self.observers.tell("train_start", event)
        while event.stop_reason is None and self.progress.steps < self.schedule.total_steps:
            self._one_step(event)
        if self.progress.validated_at != self.progress.steps:
            self._validate_and_keep_best()
        event.stop("all steps taken")
        self._tell("train_end", event)
        assert self.progress.best_prompt is not None and self.progress.best_bits is not None
        return TrainingResult(
            prompt=self.progress.best_prompt,
            best_bits=self.progress.best_bits,
            steps=self.progress.steps,
            stop_reason=event.stop_reason or "",
            engine=self.engine.name,
        )

    def training_step(
        self, batch: Sequence[Answered], event: TrainEvent | None = None
    ) -> dict[str, float]:
        """One optimizer step on ``batch_size * gradient_accumulation_steps`` answered texts.

        Args:
            event: what observers are told of the gradient by; None tells them nothing.

        Raises:
            TrainingError: the loss or the gradient is not finite.
        """
        training, losses, bits = self.config.training, [], []
        rate = self.engine.learning_rate()
        with self.pair.ledger.phase("training"):
            for start in range(0, len(batch), training.batch_size):
                loss, divergence = self._micro_batch(batch[start : start + training.batch_size])
                losses.append(float(loss.detach()))
                bits.append(divergence)
                if not math.isfinite(losses[-1]):
                    raise self._not_finite("loss")
                self.engine.backward(loss)
        if event is not None:
            self._offer_gradient(event)
        norm = self.engine.step()
        if not math.isfinite(norm):
            raise self._not_finite("gradient")
        if training.max_norm_ratio is not None:
            limit = training.max_norm_ratio * self.prompt.mean_norm
            self.engine.assign(clip_rows(self.engine.values(), limit))
        return {
            "loss": sum(losses) / len(losses),
            "divergence": sum(bits) / len(bits),
            "grad_norm": norm,
            "norm_ratio": norm_ratio(self.engine.values(), self.prompt.mean_norm),
            "learning_rate": rate,
            "fte": float(self.pair.ledger.total),
        }

    def validate(self) -> float:
        """Mean bits of fresh answers to validation texts, prompt in place.

        The same texts and random numbers every time; every second text is answered by model_2.
        """
        examples = self.split.val[: self.config.training.validation_texts]
        turns = [FROM_MODEL_1 if i % 2 == 0 else FROM_MODEL_2 for i in range(len(examples))]
        soft, rows, bits = self.engine.values(), self.config.generation.batch_rows, []
        with self.pair.ledger.phase("validation"):
            for start in range(0, len(examples), rows):
                part = examples[start : start + rows]
                result = rollout(
                    self.pair,
                    [self.layout.soft(e.text) for e in part],
                    weights=turns[start : start + rows],
                    uniforms=self._uniforms([f"val:{e.id}" for e in part]),
                    sampling=self._sampling,
                    soft=soft,
                )
                bits += result.mean_bits().tolist()
        return float(sum(bits) / len(bits))

    def _one_step(self, event: TrainEvent) -> None:
        training, progress = self.config.training, self.progress
        advance(event, step=progress.steps)
        set_metrics(event, {}, fresh=True)
        self._tell("before_step", event)
        if not progress.pending:
            progress.pending = self._fresh_answers()
        examples = [draw.example for draw in self.schedule.step(progress.steps)]
        answers = progress.pending.pop(0)
        numbers = self.training_step(list(zip(examples, answers, strict=True)), event)
        set_metrics(event, numbers)
        progress.steps += 1
        self._tell("step_end", event)
        dead = numbers["grad_norm"] == 0.0
        progress.zero_gradients = progress.zero_gradients + 1 if dead else 0
        if progress.zero_gradients >= DEAD_STEPS:
            event.stop(f"no gradient for {DEAD_STEPS} steps: the models do not differ here")
        if progress.steps % training.validate_every == 0:
            set_metrics(event, {"validation_bits": self._validate_and_keep_best()})
            if training.patience is not None and progress.without_gain >= training.patience:
                event.stop(f"no better in {progress.without_gain} validations")
        progress.stop_reason = event.stop_reason
        self._write(event)

    def _tell(self, hook: str, event: TrainEvent) -> None:
        if self.observers.hears(hook):  # the copy is one transfer from the device
            advance(event, prompt=self.engine.values().cpu())
            self.observers.tell(hook, event)

    def _offer_gradient(self, event: TrainEvent) -> None:
        """Let observers see the accumulated gradient, and scale it."""
        if not self.observers.hears("gradient_ready"):
            return
        gradient = self.engine.gradient()
        seen = with_gradient(self.engine.values().cpu(), gradient.cpu())
        advance(event, prompt=seen, gradient_scale=1.0)
        self.observers.tell("gradient_ready", event)
        advance(event, prompt=with_gradient(seen, None))
        if event.gradient_scale != 1.0:
            self.engine.scale_gradient(event.gradient_scale)

    def _write(self, event: TrainEvent) -> None:
        if self.run is None:
            return
        numbers = {k: v if math.isfinite(v) else None for k, v in event.metrics.items()}
        self.run.append(METRICS, {"step": event.step, **numbers})
        if self.progress.steps % self.config.training.checkpoint_every == 0:
            self.progress.observers = self.observers.states()
            checkpoint.save(
                self.run.path / CHECKPOINTS,
                self.progress,
                self.engine.state(),
                self.pair.ledger.by_phase,
                self.config.training.keep_checkpoints,
            )
            self.pair.forget_prefixes()

    def _resume(self) -> None:
        if self.run is None:
            return
        found = checkpoint.latest(self.run.path / CHECKPOINTS)
        if found is not None:
            self.progress, state, spent = found
            self.engine.load(state)
            self.observers.restore(self.progress.observers)
            self.pair.ledger.by_phase.clear()
            self.pair.ledger.by_phase.update(spent)
        lines = atomic.read_json_lines(self.run.path / METRICS)
        if lines:
            self.run.write_json_lines(
                METRICS, [line for line in lines if line["step"] < self.progress.steps]
            )

    def _fresh_answers(self) -> list[list[list[int]]]:
        """Answers under the current prompt for the coming ``refresh_every`` steps, by step."""
        first = self.progress.steps
        last = min(first + self.config.training.refresh_every, self.schedule.total_steps)
        steps = [self.schedule.step(step) for step in range(first, last)]
        draws = [draw for step in steps for draw in step]
        with self.pair.ledger.phase("training"):
            result = rollout(
                self.pair,
                [self.layout.soft(draw.example.text) for draw in draws],
                weights=[draw.weights for draw in draws],
                uniforms=self._uniforms([draw.key for draw in draws]),
                sampling=self._sampling,
                soft=self.engine.values(),
            )
        answers = [result.answer(row) for row in range(len(draws))]
        size = self.schedule.texts_per_step
        return [answers[start : start + size] for start in range(0, len(answers), size)]

    def _micro_batch(self, batch: Sequence[Answered]) -> tuple[Tensor, float]:
        """Loss (differentiable) and mean JSD in bits of one micro-batch."""
        contexts = [self.layout.soft(example.text) for example, _ in batch]
        responses = [answer for _, answer in batch]
        soft, one, two = self.engine.prompt(), self.pair.model_1, self.pair.model_2
        with self._precision():
            states_1, states_2 = (
                # checkpointing: one model's activations at a time, rebuilt in the backward pass
                recompute(response_states, w, contexts, responses, soft, use_reentrant=False)
                if self.config.training.gradient_checkpointing
                else response_states(w, contexts, responses, soft)
                for w in (one, two)
            )
        targets, owners = targets_of(responses, one.device)
        values = row_values(self._loss_and_bits, one, two, states_1, states_2, targets, owners)
        return -values[:, 0].mean(), float(values[:, 1].detach().mean())

    def _loss_and_bits(self, rows: Rows) -> Tensor:
        with torch.no_grad():
            bits = jsd(rows.log_probs_1, rows.log_probs_2)
        return torch.stack([self.loss(rows), bits], dim=1)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.training.mixed_precision and self.pair.model_1.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def _validate_and_keep_best(self) -> float:
        bits, progress = self.validate(), self.progress
        progress.validated_at = progress.steps
        if progress.best_bits is None or bits > progress.best_bits:
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
                best_bits=progress.best_bits,
            ),
        )
        return bits

    def _uniforms(self, keys: list[str]) -> Tensor:
        return uniform_rows(keys, self.config.seed, self.config.training.response_tokens)

    def _not_finite(self, what: str) -> TrainingError:
        return TrainingError(
            f"the {what} is not finite at step {self.progress.steps}",
            fix="lower training.learning_rate, or load the models in float32",
        )
