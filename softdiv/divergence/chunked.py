"""Hidden states to per-token values and gradients without a ``[B, T, V]`` tensor.

Rows are taken ``chunk`` at a time, so that at most one chunk of logits per model is alive at any
moment. Where the weight of the rows is known beforehand, a chunk's gradient is taken right behind
its values (:func:`row_gradients`); else the head is computed again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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

    def one(*part: Tensor) -> Tensor:
        return fn(_rows(model_1, model_2, *part))

    parts = _chunks(chunk, states_1, states_2, targets, example_index)
    if torch.is_grad_enabled() and states_1.requires_grad:
        return torch.cat([checkpoint(one, *part, use_reentrant=False) for part in parts])
    return torch.cat([one(*part) for part in parts])


def row_gradients(
    fn: Callable[[Rows], Tensor],
    model_1: ModelWrapper,
    model_2: ModelWrapper,
    states_1: Tensor,
    states_2: Tensor,
    targets: Tensor,
    example_index: Tensor,
    weight: float,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Values of every response position, and the gradients of ``weight`` times their sum.

    Args:
        fn: a loss, :class:`Rows` of n rows to ``[n]``.
        states_1, states_2: ``[N, H]``, as in :func:`row_values`; no gradient flows on from here.

    Returns:
        ``[N]`` values without a graph, then ``[N, H]`` for each model; None for both where the
        values do not depend on the models.
    """
    values: list[Tensor] = []
    slopes: tuple[list[Tensor], list[Tensor]] = ([], [])
    for part_1, part_2, *own in _chunks(chunk, states_1, states_2, targets, example_index):
        ends = tuple(part.detach().requires_grad_() for part in (part_1, part_2))
        with torch.enable_grad():
            found = fn(_rows(model_1, model_2, *ends, *own))
            whole = weight * found.sum()
        if not found.requires_grad:
            return found, None, None
        gradients = torch.autograd.grad(whole, ends, allow_unused=True, materialize_grads=True)
        values.append(found.detach())
        for side, gradient in zip(slopes, gradients, strict=True):
            side.append(gradient)
    return torch.cat(values), torch.cat(slopes[0]), torch.cat(slopes[1])


def _chunks(size: int, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(column.split(size) for column in columns), strict=True)


def _rows(
    model_1: ModelWrapper,
    model_2: ModelWrapper,
    states_1: Tensor,
    states_2: Tensor,
    targets: Tensor,
    owners: Tensor,
) -> Rows:
    return Rows(
        log_probs_1=model_1.log_probs(states_1),
        log_probs_2=model_2.log_probs(states_2).to(model_1.device),
        targets=targets,
        example_index=owners,
    )
