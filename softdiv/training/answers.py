"""Fresh answers under the current prompt: to train on, and to validate with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from torch import Tensor

from softdiv.config.load import ExperimentConfig
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, rollout
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import in_parts
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.plugin.records import Example
from softdiv.ranks.group import Ranks
from softdiv.training.schedule import Draw, Schedule


@attrs.define(eq=False)
class Answers:
    """Rolls out each rank's share and gathers them all."""

    pair: ModelPair
    layout: Layout
    config: ExperimentConfig
    ranks: Ranks
    rows: int = attrs.field(init=False)
    """Rows decoded together; halved when they do not fit."""

    def __attrs_post_init__(self) -> None:
        self.rows = self.config.generation.batch_rows

    def for_steps(
        self, schedule: Schedule, first: int, soft: Tensor, shrunk: Callable[[int], None]
    ) -> list[list[list[int]]]:
        """Answers (token ids) for the coming ``refresh_every`` steps, by step; alike on all ranks.

        Args:
            soft: ``[k, H]``.
        """
        last = min(first + self.config.training.refresh_every, schedule.total_steps)
        draws = [draw for step in range(first, last) for draw in schedule.step(step)]
        answers = self._gathered(draws, soft, shrunk)
        size = schedule.texts_per_step
        return [answers[start : start + size] for start in range(0, len(answers), size)]

    def to(
        self, examples: Sequence[Example], step: int, soft: Tensor, shrunk: Callable[[int], None]
    ) -> list[list[int]]:
        """Answers to any user texts, model_1 and model_2 in turn; alike on all ranks.

        Args:
            step: names the random numbers.
            soft: ``[k, H]``.
        """
        turns = (FROM_MODEL_1, FROM_MODEL_2)
        draws = [
            Draw(example, f"train:{example.id}:{step}:{n}", turns[n % 2])
            for n, example in enumerate(examples)
        ]
        return self._gathered(draws, soft, shrunk)

    def mean_bits(
        self, examples: Sequence[Example], soft: Tensor, shrunk: Callable[[int], None]
    ) -> float:
        """Mean JSD of answers to ``examples``; every second is answered by model_2.

        The same random numbers every time.
        """
        turns = (FROM_MODEL_1, FROM_MODEL_2)
        draws = [Draw(e, f"val:{e.id}", turns[i % 2]) for i, e in enumerate(examples)]
        own = [
            value
            for result in self._roll_out(self.ranks.part(draws), soft, shrunk)
            for value in result.mean_bits().tolist()
        ]
        bits = [value for part in self.ranks.gather(own) for value in part]
        return float(sum(bits) / len(bits))

    def _gathered(
        self, draws: Sequence[Draw], soft: Tensor, shrunk: Callable[[int], None]
    ) -> list[list[int]]:
        own = [
            result.answer(row)
            for result in self._roll_out(self.ranks.part(draws), soft, shrunk)
            for row in range(len(result.lengths))
        ]
        return [answer for part in self.ranks.gather(own) for answer in part]

    def _roll_out(
        self, draws: Sequence[Draw], soft: Tensor, shrunk: Callable[[int], None]
    ) -> list[Rollouts]:
        generation, seed = self.config.generation, self.config.seed
        sampling = Sampling(temperature=generation.temperature, top_p=generation.top_p)

        def work(part: Sequence[Draw]) -> Rollouts:
            keys = [draw.key for draw in part]
            return rollout(
                self.pair,
                [self.layout.soft(draw.example) for draw in part],
                weights=[draw.weights for draw in part],
                uniforms=uniform_rows(keys, seed, self.config.training.response_tokens),
                sampling=sampling,
                soft=soft,
            )

        def halved(rows: int) -> None:
            self.rows = rows
            shrunk(rows)

        return list(in_parts(draws, self.rows, work, halved))
