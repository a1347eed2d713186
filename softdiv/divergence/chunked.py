"""Hidden states to per-token values and gradients without a ``[B, T, V]`` tensor.

Rows are taken ``chunk`` at a time; the head is recomputed in the backward pass, so at most
one chunk of logits per model is alive at any moment.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Rows

CHUNK = 64


def row_values(
    fn: Callable[[Rows], Tensor],
    model_1: ModelWrapper,
    model_2: ModelWrapper,
    states_1: Tensor,
    states_2: Tensor,
    targets: Tensor,
    example_index: Tensor,
    chunk: int = CHUNK,
) -> Tensor:
    """``fn`` of every response position, differentiable with respect to the hidden states.

    Args:
        fn: a loss or token metric, :class:`Rows` of n rows to ``[n]``.
        states_1, states_2: ``[N, H]`` final hidden states of the two models, each on its model's
            device; ``fn`` runs on model_1's.
        targets: ``[N]`` sampled tokens.
        example_index: ``[N]`` response a row belongs to.

    Returns:
        ``[N]``.
    """

    def one(part_1: Tensor, part_2: Tensor, wanted: Tensor, owner: Tensor) -> Tensor:
        return fn(
            Rows(
                log_probs_1=model_1.log_probs(part_1),
                log_probs_2=model_2.log_probs(part_2).to(model_1.device),
                targets=wanted,
                example_index=owner,
            )
        )

    parts = zip(
        states_1.split(chunk),
        states_2.split(chunk),
        targets.split(chunk),
        example_index.split(chunk),
        strict=True,
    )
    if torch.is_grad_enabled() and states_1.requires_grad:
        return torch.cat([checkpoint(one, *part, use_reentrant=False) for part in parts])
    return torch.cat([one(*part) for part in parts])
