"""The gradient of the loss with respect to the soft prompt, one micro-batch at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.divergence.chunked import row_gradients
from softdiv.divergence.kernels import jsd
from softdiv.errors import TrainingError
from softdiv.pair.batch_cost import scoring_cost
from softdiv.pair.inputs import kept_prefix
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.teacher_forcing import response_states, targets_of
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example, Rows
from softdiv.training.clock import Clock
from softdiv.training.precision import AUTOCAST

Answered = tuple[Example, Sequence[int]]
"""A user text and the token ids of an answer to it."""


@attrs.frozen(eq=False)
class Partial:
    """One micro-batch's share of a step."""

    gradient: Tensor
    """``[k, H]``, of the loss times its scale."""
    loss: float
    bits: float
    """JSD. Both are sums over the micro-batch's tokens, divided by the step's tokens."""


@attrs.define(eq=False)
class Objective:
    """The loss of a step: minus the mean of ``loss`` over all its response tokens.

    Over all tokens of the step, so that neither accumulation, nor ranks, nor smaller
    micro-batches change it.
    """

    pair: ModelPair
    layout: Layout
    loss: Any
    config: TrainingConfig
    clock: Clock

    def partial(
        self, soft: Tensor, batch: Sequence[Answered], tokens: int, scale: float = 1.0
    ) -> Partial:
        """Forward and backward of one micro-batch.

        The backward pass stops at the two models' hidden states and goes on through each model
        separately: each part can be timed, and a pair that shares weights can switch between.

        Args:
            soft: ``[k, H]``.
            tokens: response tokens of the whole step.
            scale: factor on the loss before the backward pass.

        Raises:
            TrainingError: the loss does not depend on the models.
        """
        contexts = [self.layout.soft(example) for example, _ in batch]
        responses = [answer for _, answer in batch]
        one, two = self.pair.model_1, self.pair.model_2
        leaf = soft.detach().clone().requires_grad_()
        with self.clock.part("model_1"):
            states_1 = self._states(one, contexts, responses, leaf)
        with self.clock.part("model_2"):
            states_2 = self._states(two, contexts, responses, leaf)
        with self.clock.part("divergence"):
            bits = 0.0

            def watched(rows: Rows) -> Tensor:
                nonlocal bits
                with torch.no_grad():
                    bits += float(jsd(rows.log_probs_1, rows.log_probs_2).sum())
                value: Tensor = self.loss(rows)
                return value

            targets, owners = targets_of(responses, one.device)
            values, slope_1, slope_2 = row_gradients(
                watched, one, two, states_1, states_2, targets, owners, -scale / tokens
            )
            if slope_1 is None or slope_2 is None:
                raise TrainingError(
                    "the loss has no gradient", why="it does not depend on the log-probabilities"
                )
        with self.clock.part("model_1"):
            (gradient_1,) = torch.autograd.grad(states_1, leaf, slope_1)
        with self.clock.part("model_2"):
            (gradient_2,) = torch.autograd.grad(states_2, leaf, slope_2)
        return Partial(gradient_1 + gradient_2, -float(values.sum()) / tokens, bits / tokens)

    @contextlib.contextmanager
    def charged(self, batch: Sequence[Answered], width: int, *, pays: bool) -> Iterator[None]:
        """A step is computed inside, in whatever parts; it is charged as one process pays that
        takes micro-batches of ``batch_size``, and leaves the prefix in the cache that it would.

        Args:
            width: tokens of the soft prompt.
            pays: this rank's ledger pays.
        """
        total, kept = 0, [(model, model.cached_prefix) for model in self.pair.models]
        recompute = self.config.gradient_checkpointing
        for start in range(0, len(batch), self.config.batch_size):
            part = batch[start : start + self.config.batch_size]
            rows = [self.layout.soft(example) for example, _ in part]
            answers = [answer for _, answer in part]
            for n, (model, cached) in enumerate(kept):
                total += scoring_cost(
                    model, rows, width, answers, cached, backward=True, recompute=recompute
                )
                kept[n] = model, (() if recompute else kept_prefix(model, rows)) or cached
        with self.pair.ledger.closed():
            yield
            for model, prefix in kept:
                if prefix:
                    model.prefix_cache(prefix, 1)
        if pays:
            with self.pair.ledger.phase("training"):
                self.pair.ledger.charge(total)

    def _states(
        self,
        wrapper: ModelWrapper,
        contexts: Sequence[Context],
        responses: Sequence[Sequence[int]],
        soft: Tensor,
    ) -> Tensor:
        with self._precision():
            return response_states(
                wrapper,
                contexts,
                responses,
                soft,
                recompute=self.config.gradient_checkpointing,
            )

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if not self.config.mixed_precision:
            return contextlib.nullcontext()
        dtype = AUTOCAST[self.config.autocast]
        return torch.autocast(self.pair.model_1.device.type, dtype=dtype)
