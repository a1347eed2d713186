"""An answer token by token, as both models saw it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from softdiv.divergence.rollouts import Rollouts
from softdiv.plugin.records import TokenDivergence


def token_divergences(result: Rollouts, row: int, tokenizer: Any) -> tuple[TokenDivergence, ...]:
    """One record per token of answer ``row``."""

    def word(token: Tensor) -> str:
        text: str = tokenizer.decode([int(token)])
        return text

    return tuple(
        TokenDivergence(
            token=word(result.ids[row, t]),
            bits=float(result.bits[row, t]),
            log_prob_1=float(result.log_prob_1[row, t]),
            log_prob_2=float(result.log_prob_1[row, t] + result.ratio[row, t]),
            preferred_1=word(result.best_1[row, t]),
            preferred_2=word(result.best_2[row, t]),
            margin_1=float(result.margin_1[row, t]),
            margin_2=float(result.margin_2[row, t]),
        )
        for t in range(int(result.lengths[row]))
    )
