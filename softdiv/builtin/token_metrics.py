"""Built-in plugin: metrics of the two next-token distributions, one value per response token.

The core averages them over the tokens of both answers, then over user texts.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
from attrs.validators import ge
from torch import Tensor

from softdiv import Register, Rows, TokenMetric, hookimpl
from softdiv.divergence import kernels


@attrs.frozen(kw_only=True)
class _TokenMetric:
    level: ClassVar[Literal["token"]] = "token"


@attrs.frozen(kw_only=True)
class Jsd(_TokenMetric):
    """Jensen-Shannon divergence, bits (Lin 1991)."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [0, 1]."""
        return kernels.jsd(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class Kl12(_TokenMetric):
    """KL(model_1 || model_2), nats: large where model_2 rules out what model_1 would write."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats, at least 0, unbounded."""
        return kernels.kl(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class Kl21(_TokenMetric):
    """KL(model_2 || model_1), nats: large where model_2 writes what model_1 rules out."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats, at least 0, unbounded."""
        return kernels.kl(rows.log_probs_2, rows.log_probs_1)


@attrs.frozen(kw_only=True)
class SymmetricKl(_TokenMetric):
    """Half the sum of both KL divergences, nats (Kullback & Leibler 1951 call the sum J)."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats, at least 0, unbounded."""
        return kernels.symmetric_kl(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class TotalVariation(_TokenMetric):
    """Total variation distance: the largest difference in probability of any set of tokens."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [0, 1]."""
        return kernels.total_variation(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class Top1Disagreement(_TokenMetric):
    """Share of positions at which the models' most likely tokens differ."""

    margin: float = attrs.field(default=0.1, validator=ge(0.0))
    """Nats by which each model must prefer its own token, so that near-ties do not count."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` of 0 or 1."""
        return kernels.top1_disagreement(rows.log_probs_1, rows.log_probs_2, self.margin)


@attrs.frozen(kw_only=True)
class LogLikelihoodRatio(_TokenMetric):
    """log p2 - log p1 of the sampled tokens, nats per token."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats, unbounded; positive where model_2 finds the token likelier."""
        return kernels.log_likelihood_ratio(rows.log_probs_1, rows.log_probs_2, rows.targets)


@attrs.frozen(kw_only=True)
class EntropyGap(_TokenMetric):
    """Entropy of model_2's next-token distribution minus model_1's, nats.

    Positive: model_2 is less certain. Zero for equal certainty about different tokens, so read it
    beside a divergence.
    """

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats in [-ln V, ln V]."""
        return kernels.entropy(rows.log_probs_2) - kernels.entropy(rows.log_probs_1)


@hookimpl
def softdiv_register_metrics(register: Register[TokenMetric]) -> None:
    """Register the metrics."""
    register("jsd", Jsd)
    register("kl_1_2", Kl12)
    register("kl_2_1", Kl21)
    register("symmetric_kl", SymmetricKl)
    register("total_variation", TotalVariation)
    register("top1_disagreement", Top1Disagreement)
    register("log_likelihood_ratio", LogLikelihoodRatio)
    register("entropy_gap", EntropyGap)
