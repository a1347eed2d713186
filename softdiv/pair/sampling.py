"""Choosing the next token from two models' log-probabilities."""

from __future__ import annotations

import hashlib

import attrs
import torch
from torch import Tensor

from softdiv.config.schema import GenerationConfig


@attrs.frozen(kw_only=True)
class Sampling:
    """How answers are drawn. ``temperature`` 0 is greedy."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_gap: float = 6.0
    """Amplified sampling keeps tokens within this many nats of model_2's best."""

    @classmethod
    def of(cls, config: GenerationConfig) -> Sampling:
        """As the config says."""
        return cls(temperature=config.temperature, top_p=config.top_p)


def mix(log_probs_1: Tensor, log_probs_2: Tensor, weights: Tensor, max_gap: float) -> Tensor:
    """Scores to sample from.

    Args:
        log_probs_1, log_probs_2: ``[B, V]`` nats.
        weights: ``[B, 2]``: ``(1, 0)`` samples model_1, ``(0, 1)`` model_2, and
            ``(-a, 1 + a)`` amplifies the difference: log p2 + a (log p2 - log p1).

    Returns:
        ``[B, V]``, unnormalised log-probabilities.
    """
    weight_1, weight_2 = weights[:, :1], weights[:, 1:]
    scores = weight_1 * log_probs_1 + weight_2 * log_probs_2
    amplified = weight_1 < 0
    if bool(amplified.any()):
        far = log_probs_2 < log_probs_2.amax(dim=-1, keepdim=True) - max_gap
        scores = scores.masked_fill(far & amplified, float("-inf"))
    return scores


def draw(scores: Tensor, uniforms: Tensor, sampling: Sampling) -> Tensor:
    """``[B, V]`` scores and ``[B]`` uniform numbers to ``[B]`` token ids, by inverse CDF.

    Uniform numbers come from outside so that a row's answer does not depend on which other
    rows share its batch, and so that prompts are compared on common random numbers.
    """
    if sampling.temperature == 0:
        return scores.argmax(dim=-1)
    probabilities = torch.softmax(scores / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered
        kept = ordered.masked_fill(before >= sampling.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, kept)
    cdf = probabilities.double().cumsum(dim=-1)
    wanted = uniforms.double()[:, None] * cdf[:, -1:]
    index = torch.searchsorted(cdf, wanted, right=True)[:, 0]
    return index.clamp(max=scores.shape[-1] - 1)


def uniform_rows(keys: list[str], seed: int, length: int) -> Tensor:
    """``[B, length]`` fp64 uniform numbers in [0, 1), one reproducible stream per key."""
    rows = []
    for key in keys:
        digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        rows.append(torch.rand(length, generator=generator, dtype=torch.float64))
    return torch.stack(rows)
