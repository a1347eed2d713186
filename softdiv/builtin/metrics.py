"""Built-in plugin: metrics reported for every prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge
from torch import Tensor

from softdiv import ResponsePair, Rows, hookimpl
from softdiv.divergence import kernels
from softdiv.plugin.registry import Register


@attrs.frozen(kw_only=True)
class _TokenMetric:
    level: ClassVar[Literal["token"]] = "token"


@attrs.frozen(kw_only=True)
class Jsd(_TokenMetric):
    """Jensen-Shannon divergence, bits."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [0, 1]."""
        return kernels.jsd(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class Kl12(_TokenMetric):
    """KL(model_1 || model_2), nats."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats."""
        return kernels.kl(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class Kl21(_TokenMetric):
    """KL(model_2 || model_1), nats."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats."""
        return kernels.kl(rows.log_probs_2, rows.log_probs_1)


@attrs.frozen(kw_only=True)
class SymmetricKl(_TokenMetric):
    """Half the sum of both KL divergences, nats."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats."""
        return kernels.symmetric_kl(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class TotalVariation(_TokenMetric):
    """Total variation distance."""

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
        """``[N]`` nats."""
        return kernels.log_likelihood_ratio(rows.log_probs_1, rows.log_probs_2, rows.targets)


@attrs.frozen(kw_only=True)
class ResponseLength:
    """Words by which model_2's answer is longer than model_1's."""

    level: ClassVar[Literal["response"]] = "response"

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """Signed difference in words."""
        return [float(len(p.response_2.split()) - len(p.response_1.split())) for p in pairs]


@attrs.frozen(kw_only=True)
class LexicalJaccard:
    """1 - shared words over all words of the two answers: 0 same words, 1 none in common."""

    level: ClassVar[Literal["response"]] = "response"

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """In [0, 1]; two empty answers do not differ."""
        values = []
        for pair in pairs:
            words_1, words_2 = set(pair.response_1.split()), set(pair.response_2.split())
            union = words_1 | words_2
            values.append(1 - len(words_1 & words_2) / len(union) if union else 0.0)
        return values


@hookimpl
def softdiv_register_metrics(register: Register) -> None:
    """Register the metrics."""
    register("jsd", Jsd)
    register("kl_1_2", Kl12)
    register("kl_2_1", Kl21)
    register("symmetric_kl", SymmetricKl)
    register("total_variation", TotalVariation)
    register("top1_disagreement", Top1Disagreement)
    register("log_likelihood_ratio", LogLikelihoodRatio)
    register("response_length", ResponseLength)
    register("lexical_jaccard", LexicalJaccard)
