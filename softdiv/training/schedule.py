"""Which texts each step sees and from which model it is answered: a function of (seed, step)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import attrs
import torch

from softdiv.config.schema import TrainingConfig
from softdiv.divergence.sampler import turn
from softdiv.plugin.records import Example


@attrs.frozen
class Draw:
    """One user text of one step."""

    example: Example
    key: str
    """Names the random numbers of its answer."""
    weights: tuple[float, float]
    """Which model answers."""


@attrs.frozen(eq=False)
class Schedule:
    """Epochs of seeded shuffles, end to end; a step never comes short at an epoch's end."""

    examples: Sequence[Example]
    config: TrainingConfig
    seed: int

    @property
    def texts_per_step(self) -> int:
        """Over all micro-batches."""
        return self.config.batch_size * self.config.gradient_accumulation_steps

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        steps = -(-self.config.num_epochs * len(self.examples) // self.texts_per_step)
        return steps if self.config.max_steps is None else min(steps, self.config.max_steps)

    def step(self, step: int) -> list[Draw]:
        """The texts of one step; models take turns answering."""
        first = step * self.texts_per_step
        return [self._draw(n) for n in range(first, first + self.texts_per_step)]

    def _draw(self, n: int) -> Draw:
        epoch, index = divmod(n, len(self.examples))
        example = self.examples[shuffled(len(self.examples), self.seed, epoch)[index]]
        step = n // self.texts_per_step
        return Draw(example, f"train:{example.id}:{step}:{n}", turn(n, first=1))


@functools.lru_cache(maxsize=4)
def shuffled(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """A permutation of ``range(count)``."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return tuple(torch.randperm(count, generator=generator).tolist())
