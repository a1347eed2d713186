"""What can be asked of a pair, batch by batch. Nowhere else are its models sampled.

A batch is plain data, so that another process can be sent it; it runs any of its rows apart from
the others, and what they give is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor

from softdiv.divergence.chunked import row_values
from softdiv.divergence.kernels import jsd
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.rollouts import SHRINK, rollout
from softdiv.pair.answers import sample_answers
from softdiv.pair.batch_cost import Prefix, decoding_cost, scoring_cost
from softdiv.pair.decoder import start_decoding
from softdiv.pair.inputs import Frame, kept_prefix
from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.teacher_forcing import both_states, log_likelihood, targets_of
from softdiv.plugin.records import Rows

RowTensors = dict[str, Tensor]
"""``[n]`` or ``[n, width]`` each, one row for each row of a batch; short rows end in zeros."""
Weights = tuple[float, float]


@attrs.frozen(kw_only=True)
class With:
    """What every batch is run with."""

    pair: ModelPair
    soft: Tensor | None = None
    """``[k, H]``, for contexts with a slot"""
    metrics: DivergenceMetrics | None = None

    @property
    def width(self) -> int:
        """k"""
        return 0 if self.soft is None else len(self.soft)

    def cached(self) -> tuple[Prefix, Prefix]:
        """The prefixes whose keys and values the models hold now."""
        one, two = self.pair.models
        return one.cached_prefix, two.cached_prefix


class Batch(Protocol):
    """B rows that belong together."""

    @property
    def contexts(self) -> Sequence[Context]:
        """One of each row."""
        ...

    def run(self, given: With, rows: Sequence[int]) -> RowTensors:
        """Those rows' columns, in the order of ``rows``."""
        ...

    def cost(self, given: With, cached: tuple[Prefix, Prefix], columns: RowTensors) -> int:
        """FTE of all rows, run at once; ``cached`` before they were."""
        ...


@attrs.frozen(kw_only=True)
class BothAnswers:
    """Answers drawn from a mixture, and both models' values at every token: see
    :meth:`softdiv.divergence.rollouts.Rollouts.columns`."""

    contexts: tuple[Context, ...]
    weights: tuple[Weights, ...]
    """See :func:`softdiv.pair.sampling.mix`."""
    keys: tuple[str, ...]
    """Names of the random streams."""
    seed: int
    tokens: int
    """The longest answer's, at most."""
    sampling: Sampling
    measured: bool = False
    """With the token metrics."""

    def run(self, given: With, rows: Sequence[int]) -> RowTensors:
        """See :class:`Batch`."""
        found = rollout(
            given.pair,
            _of(rows, self.contexts),
            weights=_of(rows, self.weights),
            uniforms=uniform_rows(_of(rows, self.keys), self.seed, self.tokens),
            sampling=self.sampling,
            soft=given.soft,
            row_metrics=given.metrics.of_rows if given.metrics and self.measured else None,
            frame=Frame.of(self.contexts, given.soft),
        )
        return found.columns()

    def cost(self, given: With, cached: tuple[Prefix, Prefix], columns: RowTensors) -> int:
        """See :class:`Batch`."""
        lengths = columns["lengths"].tolist()
        return sum(
            decoding_cost(model, self.contexts, given.width, lengths, SHRINK, held)
            for model, held in zip(given.pair.models, cached, strict=True)
        )


@attrs.frozen(kw_only=True)
class OneAnswers:
    """One model's answers alone, at half the cost: ``ids`` and ``lengths``."""

    model: int
    """0 or 1"""
    contexts: tuple[Context, ...]
    keys: tuple[str, ...]
    seed: int
    tokens: int
    sampling: Sampling

    def run(self, given: With, rows: Sequence[int]) -> RowTensors:
        """See :class:`Batch`."""
        wrapper = given.pair.models[self.model]
        answers = sample_answers(
            wrapper,
            _of(rows, self.contexts),
            uniforms=uniform_rows(_of(rows, self.keys), self.seed, self.tokens),
            sampling=self.sampling,
            stops=given.pair.stop_ids,
            frame=Frame.of(self.contexts),
        )
        ids = [torch.tensor(answer, device=wrapper.device) for answer in answers]
        lengths = torch.tensor([len(answer) for answer in answers], device=wrapper.device)
        return {"ids": _padded(ids), "lengths": lengths}

    def cost(self, given: With, cached: tuple[Prefix, Prefix], columns: RowTensors) -> int:
        """See :class:`Batch`."""
        model, held = given.pair.models[self.model], cached[self.model]
        return decoding_cost(model, self.contexts, 0, columns["lengths"].tolist(), 1.0, held)


@attrs.frozen(kw_only=True)
class NextTokens:
    """What one model says next: ``log_probs [n, V]``, nats."""

    model: int
    contexts: tuple[Context, ...]

    @torch.no_grad()
    def run(self, given: With, rows: Sequence[int]) -> RowTensors:
        """See :class:`Batch`."""
        frame = Frame.of(self.contexts, given.soft)
        model, contexts = given.pair.models[self.model], _of(rows, self.contexts)
        return {"log_probs": start_decoding(model, contexts, given.soft, frame).log_probs()}

    def cost(self, given: With, cached: tuple[Prefix, Prefix], columns: RowTensors) -> int:
        """See :class:`Batch`."""
        model, held = given.pair.models[self.model], cached[self.model]
        lengths = [1] * len(self.contexts)
        return decoding_cost(model, self.contexts, given.width, lengths, 1.0, held)


@attrs.frozen(kw_only=True)
class Likelihoods:
    """How likely one model finds given answers: ``log_probs [n, T]``, nats a token."""

    model: int
    contexts: tuple[Context, ...]
    responses: tuple[tuple[int, ...], ...]

    def run(self, given: With, rows: Sequence[int]) -> RowTensors:
        """See :class:`Batch`."""
        model, answers = given.pair.models[self.model], _of(rows, self.responses)
        prefix = kept_prefix(model, self.contexts)
        found = log_likelihood(model, _of(rows, self.contexts), answers, given.soft, prefix)
        return {"log_probs": _padded(found.split([len(answer) for answer in answers]))}

    def cost(self, given: With, cached: tuple[Prefix, Prefix], columns: RowTensors) -> int:
        """See :class:`Batch`."""
        model, held = given.pair.models[self.model], cached[self.model]
        return scoring_cost(model, self.contexts, given.width, self.responses, held)


@attrs.frozen(kw_only=True)
class AnswerBits:
    """How differently the models see given answers: ``bits [n, T]``, JSD at each token."""

    contexts: tuple[Context, ...]
    responses: tuple[tuple[int, ...], ...]

    def values(self, given: With, rows: Sequence[int]) -> Tensor:
        """``[N]`` row after row; gradients flow to the soft prompt."""
        pair, answers = given.pair, _of(rows, self.responses)
        prefixes = [kept_prefix(model, self.contexts) for model in pair.models]
        states = both_states(pair, _of(rows, self.contexts), answers, given.soft, prefixes)
        targets = targets_of(answers, pair.model_1.device)
        return row_values(_jsd, *pair.models, *states, *targets)

    @torch.no_grad()
    def run(self, given: With, rows: Sequence[int]) -> RowTensors:
        """See :class:`Batch`."""
        lengths = [len(answer) for answer in _of(rows, self.responses)]
        return {"bits": _padded(self.values(given, rows).split(lengths))}

    def cost(self, given: With, cached: tuple[Prefix, Prefix], columns: RowTensors) -> int:
        """See :class:`Batch`."""
        return self.cost_of(given, cached, backward=False)

    def cost_of(self, given: With, cached: tuple[Prefix, Prefix], *, backward: bool) -> int:
        """FTE, with or without the gradient with respect to the soft prompt."""
        rows = (self.contexts, given.width, self.responses)
        return sum(
            scoring_cost(model, *rows, held, backward=backward)
            for model, held in zip(given.pair.models, cached, strict=True)
        )


KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (BothAnswers, OneAnswers, NextTokens, Likelihoods, AnswerBits)
}


def _of(rows: Sequence[int], values: Sequence[Any]) -> list[Any]:
    return [values[row] for row in rows]


def _padded(rows: Sequence[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)


def _jsd(rows: Rows) -> Tensor:
    return jsd(rows.log_probs_1, rows.log_probs_2)
