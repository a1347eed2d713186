"""Both models decoded in lockstep on the same tokens: answers and their scores in one pass.

At every step both models see the same tokens so far; one of them, or a mixture of the two,
chooses the next one. On-policy divergence and likelihood ratios therefore cost nothing extra.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from softdiv.divergence.kernels import jsd, log_likelihood_ratio
from softdiv.pair.decoder import start_decoding
from softdiv.pair.inputs import Frame, longest_answer
from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, draw, mix
from softdiv.plugin.records import Rows

SHRINK = 0.75
"""Finished rows are dropped once at most this share of the rows goes on."""
KNOWN = ("ids", "bits", "ratio", "log_prob_1", "best_1", "best_2", "margin_1", "margin_2")

FROM_MODEL_1 = (1.0, 0.0)
FROM_MODEL_2 = (0.0, 1.0)

RowMetrics = Callable[[Rows], Mapping[str, Tensor]]
"""Extra values per row, ``name -> [N]``, computed while the rows exist."""


def amplified(alpha: float) -> tuple[float, float]:
    """Weights of log p2 + alpha (log p2 - log p1)."""
    return (-alpha, 1.0 + alpha)


@attrs.frozen(eq=False)
class Rollouts:
    """B answers. Token tensors are ``[B, T]``; entries at or beyond ``lengths [B]`` are 0."""

    ids: Tensor
    lengths: Tensor
    bits: Tensor
    """JSD at each response position."""
    ratio: Tensor
    """log p2 - log p1 of each sampled token, nats."""
    log_prob_1: Tensor
    best_1: Tensor
    """model_1's most likely token at each position."""
    best_2: Tensor
    margin_1: Tensor
    """nats by which model_1 prefers its most likely token to model_2's."""
    margin_2: Tensor
    extra: Mapping[str, Tensor]

    def columns(self) -> dict[str, Tensor]:
        """Every tensor by its name, B rows each."""
        return {"lengths": self.lengths, **self.extra, **{n: getattr(self, n) for n in KNOWN}}

    @classmethod
    def of(cls, columns: Mapping[str, Tensor]) -> Rollouts:
        """The inverse of :meth:`columns`."""
        own = {name: columns[name] for name in ("lengths", *KNOWN)}
        return cls(**own, extra={n: c for n, c in columns.items() if n not in own})

    def answer(self, row: int) -> list[int]:
        """Token ids of one answer."""
        found: list[int] = self.ids[row, : int(self.lengths[row])].tolist()
        return found

    def mean_bits(self, first: int | None = None) -> Tensor:
        """``[B]`` mean JSD over (the first ``first``) response tokens."""
        return self._masked_sum(self.bits, first) / self._counts(first).clamp(min=1)

    def summed_ratio(self, first: int | None = None) -> Tensor:
        """``[B]`` log-likelihood ratio of (the first ``first`` tokens of) each answer, nats."""
        return self._masked_sum(self.ratio, first)

    def mean_of(self, values: Tensor, first: int | None = None) -> Tensor:
        """``[B]`` mean of any ``[B, T]`` values over each answer's own tokens."""
        return self._masked_sum(values, first) / self._counts(first).clamp(min=1)

    def _counts(self, first: int | None) -> Tensor:
        return self.lengths if first is None else self.lengths.clamp(max=first)

    def _masked_sum(self, values: Tensor, first: int | None) -> Tensor:
        index = torch.arange(values.shape[1], device=values.device)[None]
        return (values * (index < self._counts(first)[:, None])).sum(dim=1)


@torch.no_grad()
def rollout(
    pair: ModelPair,
    contexts: Sequence[Context],
    *,
    weights: Sequence[tuple[float, float]],
    uniforms: Tensor,
    sampling: Sampling,
    soft: Tensor | None = None,
    row_metrics: RowMetrics | None = None,
    frame: Frame | None = None,
) -> Rollouts:
    """Sample one answer per context.

    Args:
        contexts: B contexts.
        weights: B mixture weights, see :func:`softdiv.pair.sampling.mix`.
        uniforms: ``[B, T]`` random numbers; T is the longest answer. One ends earlier where the
            models' positions do.
        soft: ``[k, H]`` prompt for the contexts' slots.
        row_metrics: further values to compute at every response position.
        frame: of the batch that the contexts are a part of; by default they are all of it.
    """
    frame = frame or Frame.of(contexts, soft)
    device = pair.model_1.device
    uniforms = uniforms.to(device)
    weight = torch.tensor(weights, dtype=torch.float32, device=device)
    models = (pair.model_1, pair.model_2)
    decoders = [start_decoding(wrapper, contexts, soft, frame) for wrapper in models]
    count, longest = uniforms.shape
    for wrapper in models:
        longest = longest_answer(wrapper, frame, longest)
    stops = torch.tensor(sorted(pair.stop_ids), device=device)
    current = torch.arange(count, device=device)  # the rows still decoded
    alive = torch.ones(count, dtype=torch.bool, device=device)  # of those, the unfinished ones
    lengths = torch.zeros(count, dtype=torch.long, device=device)
    columns: dict[str, list[Tensor]] = {}
    for step in range(longest):
        log_1, log_2 = (decoder.log_probs().to(device) for decoder in decoders)
        scores = mix(log_1, log_2, weight[current], sampling.max_gap)
        tokens = draw(scores, uniforms[current, step], sampling)
        rows = Rows(
            log_probs_1=log_1, log_probs_2=log_2, targets=tokens, example_index=current.clone()
        )
        values = {**_row_values(rows), **(row_metrics(rows) if row_metrics else {})}
        for name, column in values.items():
            full = column.new_zeros(count)
            full[current] = column * alive
            columns.setdefault(name, []).append(full)
        lengths[current] += alive
        alive = alive & ~torch.isin(tokens, stops)
        left = int(alive.sum())  # one host sync per token decides whether to go on
        if step + 1 == longest or left == 0:
            break
        if left <= SHRINK * len(current):
            index = alive.nonzero()[:, 0]
            for decoder in decoders:
                decoder.keep(index.to(decoder.device))
            current, tokens, alive = current[index], tokens[index], alive[index]
        for decoder in decoders:
            decoder.advance(tokens.to(decoder.device))
    stacked = {name: torch.stack(column, dim=1) for name, column in columns.items()}
    return Rollouts.of({"lengths": lengths, **stacked})


def _row_values(rows: Rows) -> dict[str, Tensor]:
    targets = rows.targets
    best_1 = rows.log_probs_1.argmax(dim=-1, keepdim=True)
    best_2 = rows.log_probs_2.argmax(dim=-1, keepdim=True)

    def gap(log_probs: Tensor, own: Tensor, other: Tensor) -> Tensor:
        return (log_probs.gather(-1, own) - log_probs.gather(-1, other))[:, 0]

    return {
        "ids": targets,
        "bits": jsd(rows.log_probs_1, rows.log_probs_2),
        "ratio": log_likelihood_ratio(rows.log_probs_1, rows.log_probs_2, targets),
        "log_prob_1": rows.log_probs_1.gather(-1, targets[:, None])[:, 0],
        "best_1": best_1[:, 0],
        "best_2": best_2[:, 0],
        "margin_1": gap(rows.log_probs_1, best_1, best_2),
        "margin_2": gap(rows.log_probs_2, best_2, best_1),
    }
