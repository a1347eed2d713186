"""Divergences between next-token distributions, one value per row.

Every function takes log-probabilities ``[N, V]`` in nats (fp32, normalised) and returns
``[N]``. Nothing here exponentiates and takes a logarithm again, so underflow cannot
make NaN: see Lin (1991) for the Jensen-Shannon divergence.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LN2 = math.log(2.0)
_NEVER = -1e4
"""Stands for -inf: its probability is 0 in fp32 too, and neither product nor gradient is NaN."""


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q), nats, ``[N, V] x [N, V] -> [N]``; at least 0."""
    return _expectation(log_p, log_p - log_q).clamp(min=0)


def jsd(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Jensen-Shannon divergence, **bits** in [0, 1], ``[N, V] x [N, V] -> [N]``.

    With m = logaddexp(log p, log q) - ln 2: half the sum of p (log p - m) and q (log q - m).
    Exactly 0 for equal inputs.
    """
    bits: Tensor = _Jsd.apply(log_p, log_q)  # type: ignore[no-untyped-call]  # torch's own
    return bits


class _Jsd(torch.autograd.Function):
    """:func:`jsd` with its gradient by hand: half of p (log p - m) and of q (log q - m), in bits.

    What the derivative of m adds cancels what that of p and q adds. Both tensors are there when
    the values are, so that the backward pass is two products where autograd's has a dozen.
    """

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, log_q: Tensor) -> Tensor:
        log_p, log_q = log_p.clamp(min=_NEVER), log_q.clamp(min=_NEVER)
        middle = torch.logaddexp(log_p, log_q) - LN2
        nats_p, nats_q = log_p.exp() * (log_p - middle), log_q.exp() * (log_q - middle)
        bits = 0.5 * (nats_p.sum(dim=-1) + nats_q.sum(dim=-1)) / LN2
        none = (log_p == log_q).all(dim=-1) | (bits < 0)
        ctx.save_for_backward(nats_p, nats_q, none)
        return bits.masked_fill(none, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        nats_p, nats_q, none = ctx.saved_tensors
        half = (0.5 / LN2 * slope).masked_fill(none, 0.0)[..., None]
        return half * nats_p, half * nats_q


def symmetric_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Half of KL(p || q) + KL(q || p), nats, ``[N]``."""
    return 0.5 * (kl(log_p, log_q) + kl(log_q, log_p))


def total_variation(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Half the L1 distance of the probabilities, in [0, 1], ``[N]``."""
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum(dim=-1)


def top1_disagreement(log_p: Tensor, log_q: Tensor, margin: float = 0.0) -> Tensor:
    """1 where the top tokens differ by more than ``margin`` nats in both models, ``[N]``.

    NaN where a top log-probability is (argmax finds NaN first): a comparison would make it 0.
    """
    best_p, best_q = log_p.argmax(dim=-1, keepdim=True), log_q.argmax(dim=-1, keepdim=True)
    gap_p = (log_p.gather(-1, best_p) - log_p.gather(-1, best_q))[..., 0]
    gap_q = (log_q.gather(-1, best_q) - log_q.gather(-1, best_p))[..., 0]
    differs = ((best_p != best_q)[..., 0] & (gap_p > margin) & (gap_q > margin)).float()
    return differs.masked_fill(gap_p.isnan() | gap_q.isnan(), torch.nan)


def log_likelihood_ratio(log_p: Tensor, log_q: Tensor, targets: Tensor) -> Tensor:
    """log q - log p of the sampled tokens ``targets [N]``, nats, ``[N]``."""
    index = targets[:, None]
    return (log_q.gather(-1, index) - log_p.gather(-1, index))[..., 0]


def entropy(log_p: Tensor) -> Tensor:
    """Shannon entropy, nats in [0, ln V], ``[N, V] -> [N]``."""
    return -_expectation(log_p, log_p)


def _expectation(log_p: Tensor, values: Tensor) -> Tensor:
    """Sum of p * values with 0 * inf = 0, so tokens of probability zero drop out.

    They drop out before the product: after it, the backward pass would multiply their infinity
    by the zero it gets, which is NaN. NaN itself is passed on.
    """
    p = log_p.exp()
    return (p * values.masked_fill(p == 0, 0.0)).sum(dim=-1)
