"""Fresh answers under the current prompt: to train on, and to validate with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.divergence.rollouts import Rollouts
from softdiv.divergence.sampler import Sampler, in_turn, streams
from softdiv.pair.layout import Layout
from softdiv.plugin.records import Example
from softdiv.training.objective import Answered
from softdiv.training.schedule import Draw, Schedule
from softdiv.training.state import FieldState


@attrs.define(eq=False)
class Answers(FieldState):
    """Answers of the two models in turn; alike on all ranks, which share the work."""

    sampler: Sampler
    layout: Layout
    config: TrainingConfig
    pending: list[list[list[int]]] = attrs.field(init=False, factory=list)
    """Answers (token ids) for the coming steps, the next step's first."""

    def to_step(self, schedule: Schedule, step: int, soft: Tensor) -> list[Answered]:
        """The texts of a step, answered; every ``refresh_every`` steps with fresh answers.

        Args:
            soft: ``[k, H]``.
        """
        if not self.pending:
            steps = range(step, min(step + self.config.refresh_every, schedule.total_steps))
            answers = _ids(self._rolled_out([d for n in steps for d in schedule.step(n)], soft))
            size = schedule.texts_per_step
            self.pending = [answers[n : n + size] for n in range(0, len(answers), size)]
        examples = [draw.example for draw in schedule.step(step)]
        return list(zip(examples, self.pending.pop(0), strict=True))

    def to(self, examples: Sequence[Example], step: int, soft: Tensor) -> list[Answered]:
        """Any user texts, answered.

        Args:
            step: names the random numbers.
            soft: ``[k, H]``.
        """
        keys = [f"train:{example.id}:{step}:{n}" for n, example in enumerate(examples)]
        answers = _ids(self._rolled_out(_draws(examples, keys), soft))
        return list(zip(examples, answers, strict=True))

    def mean_bits(self, examples: Sequence[Example], soft: Tensor) -> float:
        """Mean JSD of answers to ``examples``, with the same random numbers every time."""
        result = self._rolled_out(_draws(examples, streams("val", examples)), soft)
        bits = result.mean_bits().tolist()
        return float(sum(bits) / len(bits))

    def state_dict(self) -> dict[str, Any]:
        """See :class:`softdiv.training.state.Stateful`; with the rows that fit into memory."""
        return {**super().state_dict(), "rows": self.sampler.limit.rows}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`softdiv.training.state.Stateful`."""
        super().load_state_dict(state)
        self.sampler.limit.rows = state["rows"]

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
