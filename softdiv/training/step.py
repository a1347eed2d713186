"""One optimizer step: the gradient of a batch, in parts that fit into memory, and the move."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.pair.input_space import nearest_token_distance
from softdiv.pair.memory import in_parts
from softdiv.ranks.group import Ranks
from softdiv.training.engine import Engine
from softdiv.training.guards import Guards
from softdiv.training.loss_scale import LossScale
from softdiv.training.objective import Answered, Objective, Partial
from softdiv.training.soft_prompt import DivergenceSoftPrompt, clip_rows, norm_ratio
from softdiv.training.state import FieldState


@attrs.define(eq=False, kw_only=True)
class OptimizerStep(FieldState):
    """Moves the engine's prompt. Every rank calls it with the whole batch."""

    objective: Objective
    engine: Engine
    prompt: DivergenceSoftPrompt
    config: TrainingConfig
    ranks: Ranks
    scale: LossScale
    guards: Guards
    told: Callable[[str], None]
    """Receives a line where less fits into memory than was thought."""
    micro_batch: int = attrs.field(init=False)
    """Texts per forward pass: ``training.batch_size``, or less after running out of memory."""

    @micro_batch.default
    def _all(self) -> int:
        return self.config.batch_size

    def take(
        self,
        batch: Sequence[Answered],
        number: int,
        factor: Callable[[Tensor], float] = lambda gradient: 1.0,
    ) -> dict[str, float]:
        """One step on answered texts; its numbers.

        A step whose loss or gradient is not finite leaves prompt and optimizer as they were.

        Args:
            number: of the step, for errors.
            factor: of a gradient ``[k, H]``, what it is multiplied by; the same on every rank.

        Raises:
            TrainingError: it was the last of ``max_skipped_steps`` such steps in a row, or one text
                alone does not fit into memory.
        """
        rate, before = self.engine.learning_rate(), self.engine.values()
        loss, bits, gradient = self.gradient(before, batch)
        gradient = gradient * factor(gradient)
        norm = float(gradient.norm())
        finite = math.isfinite(loss) and math.isfinite(norm)
        explained, after = self.scale.after(finite), before
        if finite:
            after = self._moved(gradient)
            self.guards.finite(norm, not torch.equal(before, after))
        else:
            what = "gradient" if math.isfinite(loss) else "loss"
            self.guards.not_finite(number, what, self.config.max_skipped_steps, explained)
        pair, unit = self.objective.pair, self.prompt.mean_norm
        return {
            "loss": loss,
            "divergence": bits,
            "grad_norm": norm,
            "norm_ratio": norm_ratio(after, unit),
            "nearest_token": nearest_token_distance(pair.model_1, after, unit),
            "learning_rate": rate,
            "skipped_steps": float(self.guards.skipped),
            "fte": float(sum(self.ranks.gather(pair.ledger.total))),
        }

    def gradient(self, soft: Tensor, batch: Sequence[Answered]) -> tuple[float, float, Tensor]:
        """Loss, mean JSD in bits and gradient ``[k, H]`` at ``soft``, over all ranks."""
        tokens = sum(len(answer) for _, answer in batch)
        gradient, loss, bits = torch.zeros_like(soft), 0.0, 0.0

        def work(part: Sequence[Answered]) -> Partial:
            return self.objective.partial(soft, part, tokens, self.scale.value)

        own, size = self.ranks.part(batch), self.micro_batch
        with self.objective.charged(batch, len(soft), pays=self.ranks.first):
            for part in in_parts(own, size, work, self._smaller):
                gradient += part.gradient
                loss, bits = loss + part.loss, bits + part.bits
        self.ranks.total(gradient)
        sums = [sum(column) for column in zip(*self.ranks.gather([loss, bits]), strict=True)]
        return sums[0], sums[1], gradient / self.scale.value

    def _moved(self, gradient: Tensor) -> Tensor:
        self.engine.step(gradient)
        after = self.engine.values()
        if self.config.max_norm_ratio is not None:
            after = clip_rows(after, self.config.max_norm_ratio * self.prompt.mean_norm)
            self.engine.assign(after)
        return after

    def _smaller(self, size: int) -> None:
        self.micro_batch = size
        self.told(
            f"out of memory: {size} text(s) per forward pass from here on; the batch of a step and "
            "its gradient stay the same"
        )
