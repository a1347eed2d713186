"""The one sampler: answers of a pair and scores of answers, for every stage.

It runs batches of rows, on every rank a share of each, in smaller parts where they do not fit into
memory. Neither changes what comes out, nor what it costs: a batch is charged as one process pays
that runs it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from softdiv.config.schema import GenerationConfig
from softdiv.divergence.batches import (
    AnswerBits,
    Batch,
    BothAnswers,
    Likelihoods,
    NextTokens,
    OneAnswers,
    RowTensors,
    Weights,
    With,
)
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts
from softdiv.divergence.shares import batches_of
from softdiv.divergence.together import run_batches
from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit, in_parts
from softdiv.pair.sampling import Sampling
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example
from softdiv.ranks.group import Ranks


def turn(number: int, first: Literal[1, 2]) -> Weights:
    """Who gives one of many answers: ``first`` and the other model in turn."""
    return (FROM_MODEL_1, FROM_MODEL_2)[(number + first - 1) % 2]


def in_turn(count: int, first: Literal[1, 2]) -> list[Weights]:
    """:func:`turn` of ``count`` answers."""
    return [turn(number, first) for number in range(count)]


def streams(purpose: str, examples: Iterable[Example]) -> list[str]:
    """Names of the random streams that answers to user texts are drawn with: for one purpose,
    a text meets the same numbers every time."""
    return [f"{purpose}:{example.id}" for example in examples]


@attrs.define(eq=False, kw_only=True)
class Sampler:
    """Samples and scores on one pair.

    On several ranks, all of which make the same calls, or ``ranks.leads`` and the others are in
    :func:`softdiv.divergence.together.serve`.
    """

    pair: ModelPair
    sampling: Sampling
    """How tokens are drawn."""
    seed: int
    rows: int
    """Rows of a batch."""
    limit: RowLimit = attrs.field(factory=RowLimit)
    """Of the rows that are run together in one process."""
    ranks: Ranks = attrs.field(factory=Ranks)
    metrics: DivergenceMetrics | None = None
    """Computed beside the answers of :meth:`both`."""

    @classmethod
    def of(cls, pair: ModelPair, config: GenerationConfig, seed: int, **more: Any) -> Sampler:
        """As the config says; ``more`` are further fields."""
        return cls(
            pair=pair, sampling=Sampling.of(config), seed=seed, rows=config.batch_rows, **more
        )

    def rollouts(
        self,
        contexts: Sequence[Context],
        weights: Sequence[Weights],
        keys: Sequence[str],
        tokens: int,
        soft: Tensor | None = None,
        sampling: Sampling | None = None,
    ) -> Rollouts:
        """One answer for each context, both models reading along.

        Args:
            weights: mixture weights, see :func:`softdiv.pair.sampling.mix`.
            keys: names of the random streams.
            tokens: of an answer, at most.
            soft: ``[k, H]`` prompt for the contexts' slots.
            sampling: in place of :attr:`sampling`.
        """
        wanted = BothAnswers(
            contexts=tuple(contexts),
            weights=tuple(weights),
            keys=tuple(keys),
            seed=self.seed,
            tokens=tokens,
            sampling=sampling or self.sampling,
        )
        return Rollouts.of(self._done(wanted, self.rows, soft))

    def both(
        self,
        contexts: Sequence[Context],
        keys: tuple[Sequence[str], Sequence[str]],
        tokens: int,
        soft: Tensor | None = None,
    ) -> Rollouts:
        """An answer of each model to each of N contexts, with every token metric: rows 0..N-1
        are model_1's, N..2N-1 model_2's.

        Args:
            keys: names of the random streams of model_1's answers and of model_2's.
            tokens, soft: as in :meth:`rollouts`.
        """
        size, count = max(self.rows // 2, 1), len(contexts)
        # both answers to a context belong to one batch, which reads it once
        order = [
            (number, model)
            for start in range(0, count, size)
            for model in (0, 1)
            for number in range(start, min(start + size, count))
        ]
        wanted = BothAnswers(
            contexts=tuple(contexts[number] for number, _ in order),
            weights=tuple((FROM_MODEL_1, FROM_MODEL_2)[model] for _, model in order),
            keys=tuple(keys[model][number] for number, model in order),
            seed=self.seed,
            tokens=tokens,
            sampling=self.sampling,
            measured=True,
        )
        columns = self._done(wanted, 2 * size, soft)
        place = {(model, number): row for row, (number, model) in enumerate(order)}
        index = torch.tensor([place[key] for key in sorted(place)])
        return Rollouts.of({name: c[index.to(c.device)] for name, c in columns.items()})

    def answers(
        self,
        model: ModelWrapper,
        contexts: Sequence[Context],
        keys: Sequence[str],
        tokens: int,
        rows: int,
    ) -> list[list[int]]:
        """One model's answers alone: token ids, up to and including a stop token.

        Args:
            rows: of a batch, in place of :attr:`rows`.
        """
        wanted = OneAnswers(
            model=self._number(model),
            contexts=tuple(contexts),
            keys=tuple(keys),
            seed=self.seed,
            tokens=tokens,
            sampling=self.sampling,
        )
        columns = self._done(wanted, rows)
        rows_of = zip(columns["ids"].tolist(), columns["lengths"].tolist(), strict=True)
        return [ids[:length] for ids, length in rows_of]

    def next_log_probs(self, model: ModelWrapper, contexts: Sequence[Context]) -> Iterator[Tensor]:
        """``[V]`` nats of the token after each context, in the order given; a batch at a time."""
        wanted = NextTokens(model=self._number(model), contexts=tuple(contexts))
        for part in batches_of(wanted, self.rows):
            yield from self._done(part, self.rows)["log_probs"].to(model.device)

    def log_likelihoods(
        self,
        model: ModelWrapper,
        contexts: Sequence[Context],
        answers: Sequence[Sequence[int]],
        soft: Tensor | None = None,
    ) -> list[Tensor]:
        """Nats of each token of a given answer behind each context, under one model."""
        if not contexts:
            return []
        wanted = Likelihoods(
            model=self._number(model), contexts=tuple(contexts), responses=_frozen(answers)
        )
        found = self._done(wanted, self.rows, soft)["log_probs"].to(model.device)
        return [row[: len(answer)] for row, answer in zip(found, answers, strict=True)]

    def prompt_log_likelihoods(
        self, model: ModelWrapper, before: Sequence[int], prompts: Sequence[Sequence[int]]
    ) -> list[Tensor]:
        """Nats of each prompt's tokens in its place in the template, under one model.

        Args:
            before: ids of the template before the prompt. Where there are none, a prompt's first
                token has nothing to be predicted from and is left out.

        Returns:
            One ``[k]`` tensor per prompt; empty for one token with nothing before it.
        """
        rows = [(tuple(before), p) if before else (tuple(p[:1]), p[1:]) for p in prompts]
        scored = [(Context(before=behind), tokens) for behind, tokens in rows if tokens]
        sampler = attrs.evolve(self, rows=max(len(scored), 1))
        contexts, answers = [c for c, _ in scored], [tokens for _, tokens in scored]
        found = iter(sampler.log_likelihoods(model, contexts, answers))
        return [next(found) if tokens else torch.zeros(0) for _, tokens in rows]

    def answer_bits(
        self,
        contexts: Sequence[Context],
        answers: Sequence[Sequence[int]],
        soft: Tensor | None = None,
    ) -> Tensor:
        """``[N]`` JSD in bits at each token of the answers given behind the contexts."""
        wanted = AnswerBits(contexts=tuple(contexts), responses=_frozen(answers))
        found = self._done(wanted, len(contexts), soft)["bits"]
        return torch.cat([row[: len(answer)] for row, answer in zip(found, answers, strict=True)])

    def bits_gradient(
        self, contexts: Sequence[Context], answers: Sequence[Sequence[int]], soft: Tensor
    ) -> Tensor:
        """``[k, H]`` gradient of given answers' mean JSD in bits with respect to the soft prompt
        ``[k, H]`` in the contexts' slots. Computed by this process."""
        leaf = soft.detach().float().clone().requires_grad_()
        given = With(pair=self.pair, soft=leaf)
        batch = AnswerBits(contexts=tuple(contexts), responses=_frozen(answers))
        tokens, held = sum(map(len, answers)), given.cached()

        def work(rows: Sequence[int]) -> Tensor:
            with torch.enable_grad():
                mean = batch.values(given, rows).sum() / tokens
            return torch.autograd.grad(mean, leaf)[0]

        rows = range(len(contexts))
        with self.pair.ledger.closed():
            limit = self.limit
            parts = list(in_parts(rows, limit.backward, work, limit.lower_backward))
        self.pair.ledger.charge(batch.cost_of(given, held, backward=True))
        return torch.stack(parts).sum(dim=0)

    def _done(self, whole: Batch, size: int, soft: Tensor | None = None) -> RowTensors:
        """Every row's columns, computed ``size`` at a time."""
        given = With(pair=self.pair, soft=soft, metrics=self.metrics)
        return run_batches(whole, size, given, self.limit, self.ranks)

    def _number(self, model: ModelWrapper) -> int:
        return 0 if model is self.pair.model_1 else 1


def _frozen(answers: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, answers))
