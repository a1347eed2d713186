"""Fresh answers under the current prompt: to train on, and to validate with."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.divergence.rollouts import Rollouts
from softdiv.divergence.sampler import Sampler, in_turn, streams
from softdiv.pair.layout import Layout
from softdiv.plugin.records import Example
from softdiv.training.schedule import Draw, Schedule


@attrs.frozen(eq=False)
class Answers:
    """Answers of the two models in turn; alike on all ranks, which share the work."""

    sampler: Sampler
    layout: Layout
    config: TrainingConfig

    def for_steps(self, schedule: Schedule, first: int, soft: Tensor) -> list[list[list[int]]]:
        """Answers (token ids) for the coming ``refresh_every`` steps, by step.

        Args:
            soft: ``[k, H]``.
        """
        last = min(first + self.config.refresh_every, schedule.total_steps)
        draws = [draw for step in range(first, last) for draw in schedule.step(step)]
        answers = _ids(self._rolled_out(draws, soft))
        size = schedule.texts_per_step
        return [answers[start : start + size] for start in range(0, len(answers), size)]

    def to(self, examples: Sequence[Example], step: int, soft: Tensor) -> list[list[int]]:
        """Answers to any user texts.

        Args:
            step: names the random numbers.
            soft: ``[k, H]``.
        """
        keys = [f"train:{example.id}:{step}:{n}" for n, example in enumerate(examples)]
        return _ids(self._rolled_out(_draws(examples, keys), soft))

    def mean_bits(self, examples: Sequence[Example], soft: Tensor) -> float:
        """Mean JSD of answers to ``examples``, with the same random numbers every time."""
        result = self._rolled_out(_draws(examples, streams("val", examples)), soft)
        bits = result.mean_bits().tolist()
        return float(sum(bits) / len(bits))

    def _rolled_out(self, draws: Sequence[Draw], soft: Tensor) -> Rollouts:
        return self.sampler.rollouts(
            [self.layout.soft(draw.example) for draw in draws],
            [draw.weights for draw in draws],
            [draw.key for draw in draws],
            self.config.response_tokens,
            soft,
        )


def _draws(examples: Sequence[Example], keys: Sequence[str]) -> list[Draw]:
    turns = in_turn(len(examples), first=1)
    return [Draw(e, key, weights) for e, key, weights in zip(examples, keys, turns, strict=True)]


def _ids(result: Rollouts) -> list[list[int]]:
    return [result.answer(row) for row in range(len(result.lengths))]
