"""A softdiv plugin: token metric ``rank_overlap``, the share of top-k tokens not in common."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
from attrs.validators import ge
from torch import Tensor

from softdiv import Register, Rows, TokenMetric, hookimpl

SOFTDIV_API_VERSION = 1


@attrs.frozen(kw_only=True)
class RankOverlap:
    """1 - |top-k of model_1 ∩ top-k of model_2| / k: 0 same candidates, 1 none in common.

    Ranks ignore how probabilities are spread, so sharpening alone (a lower temperature) scores 0.
    """

    level: ClassVar[Literal["token"]] = "token"

    k: int = attrs.field(default=10, validator=ge(1))
    """How many of each model's most likely tokens are compared; at most the vocabulary."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [0, 1]; NaN where a model gave NaN."""
        k = min(self.k, rows.log_probs_1.shape[-1])
        top_1 = rows.log_probs_1.topk(k, dim=-1).indices
        top_2 = rows.log_probs_2.topk(k, dim=-1).indices
        shared = (top_1[:, :, None] == top_2[:, None, :]).sum(dim=(1, 2))
        # a broken model must not look like a result
        broken = (rows.log_probs_1 + rows.log_probs_2).isnan().any(dim=-1)
        return (1 - shared.float() / k).masked_fill(broken, float("nan"))


@hookimpl
def softdiv_register_metrics(register: Register[TokenMetric]) -> None:
    """Register the metric."""
    register("rank_overlap", RankOverlap)
