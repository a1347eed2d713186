"""An answer token by token, as both models saw it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from softdiv.divergence.rollouts import Rollouts
from softdiv.pair.words import token_texts
from softdiv.plugin.records import TokenDivergence


def token_divergences(result: Rollouts, row: int, tokenizer: Any) -> tuple[TokenDivergence, ...]:
    """One record per token of answer ``row``."""
    length = int(result.lengths[row])

    def words(ids: Tensor) -> list[str]:
        return token_texts(tokenizer, ids[row, :length].tolist())

    said, best_1, best_2 = map(words, (result.ids, result.best_1, result.best_2))
    return tuple(
        TokenDivergence(
            token=said[t],
            bits=float(result.bits[row, t]),
            log_prob_1=float(result.log_prob_1[row, t]),
            log_prob_2=float(result.log_prob_1[row, t] + result.ratio[row, t]),
            preferred_1=best_1[t],
            preferred_2=best_2[t],
            margin_1=float(result.margin_1[row, t]),
            margin_2=float(result.margin_2[row, t]),
        )
        for t in range(length)
    )
