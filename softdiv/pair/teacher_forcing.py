"""Hidden states of both models at the response positions of given answers, in one pass each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softdiv.pair.inputs import assemble, kept_prefix
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper

if TYPE_CHECKING:
    from softdiv.pair.manager import ModelPair


def response_states(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    responses: Sequence[Sequence[int]],
    soft: Tensor | None = None,
    *,
    recompute: bool = False,
    prefix: tuple[int, ...] | None = None,
) -> Tensor:
    """States that predict each response token, unpadded, row after row.

    Args:
        contexts: B contexts.
        responses: B answers of 1 or more token ids; N in all.
        soft: ``[k, H]``, for contexts with a slot; gradients flow to it.
        recompute: gradient checkpointing, see :meth:`ModelWrapper.recomputing`.
        prefix: ids to take from the cache, where the rows are a part of a batch; see
            :func:`softdiv.pair.inputs.kept_prefix`.

    Returns:
        ``[N, H]``.
    """
    states, cached = _run(wrapper, contexts, soft, responses, recompute, prefix)
    width = 0 if soft is None else soft.shape[0]
    picked = []
    for row, (context, response) in enumerate(zip(contexts, responses, strict=True)):
        own = len(context) + (width if context.has_slot else 0) - cached
        first = own - 1  # the state at the last context position predicts the first token
        if first < 0:
            raise ValueError("a context must keep a position of its own before the response")
        picked.append(states[row, first : first + len(response)])
    return torch.cat(picked)


def prompt_states(wrapper: ModelWrapper, before: Sequence[int], soft: Tensor) -> Tensor:
    """``[k, H]`` states that predict each of k soft tokens; gradients flow to ``soft [k, H]``.

    Args:
        before: ids of the template before the prompt. Where there are none, nothing predicts the
            first token, and there is a state less.
    """
    last = wrapper.embed(torch.tensor(before[-1:], dtype=torch.long, device=wrapper.device))
    context = Context(before=tuple(before[:-1]), has_slot=True)
    states, _ = _run(wrapper, [context], torch.cat([last, soft]), None, recompute=False)
    return states[0, -len(soft) - 1 : -1]


def _run(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    soft: Tensor | None,
    responses: Sequence[Sequence[int]] | None,
    recompute: bool,
    prefix: tuple[int, ...] | None = None,
) -> tuple[Tensor, int]:
    """``[B, L, H]`` of right-padded rows, and how many positions before these came from a cache."""
    if recompute:
        prefix = ()  # a layer that is run twice cannot extend a cache
    if not recompute and wrapper.turn is not None and soft is not None and soft.requires_grad:
        return _in_shards(wrapper, contexts, soft, responses, prefix), 0
    batch = assemble(
        wrapper, contexts, soft=soft, responses=responses, pad_left=False, prefix=prefix
    )
    with wrapper.recomputing() if recompute else nullcontext():
        states = wrapper.hidden(batch.embeds, batch.mask, batch.positions, batch.cache)
    return states, batch.prefix_length


def _in_shards(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    soft: Tensor,
    responses: Sequence[Sequence[int]] | None,
    prefix: tuple[int, ...] | None,
) -> Tensor:
    """A sharded layer must be gathered again for its backward pass, and recomputing does that.

    It costs, and keeps of the prefix, what the whole model would."""
    kept = kept_prefix(wrapper, contexts) if prefix is None else prefix
    if kept:
        wrapper.prefix_cache(kept, 1)
    with wrapper.ledger.closed():
        states, _ = _run(wrapper, contexts, soft, responses, recompute=True)
    positions = states.shape[0] * (states.shape[1] - len(kept))
    wrapper.ledger.charge(positions, with_backward=torch.is_grad_enabled())
    return states


def targets_of(responses: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """``[N]`` token ids and ``[N]`` row indices, in the order of :func:`response_states`."""
    tokens = [token for response in responses for token in response]
    owners = [row for row, response in enumerate(responses) for _ in response]
    return (
        torch.tensor(tokens, dtype=torch.long, device=device),
        torch.tensor(owners, dtype=torch.long, device=device),
    )


def log_likelihood(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    responses: Sequence[Sequence[int]],
    soft: Tensor | None = None,
    prefix: tuple[int, ...] | None = None,
) -> Tensor:
    """``[N]`` log-probability (nats) of each given token under one model, no gradient.

    Args:
        soft: ``[k, H]``, for contexts with a slot.
        prefix: as in :func:`response_states`.
    """
    with torch.no_grad():
        states = response_states(wrapper, contexts, responses, soft, prefix=prefix)
        targets, _ = targets_of(responses, wrapper.device)
        parts = [
            wrapper.log_probs_of(part, wanted)
            for part, wanted in zip(states.split(64), targets.split(64), strict=True)
        ]
        return torch.cat(parts)


def both_states(
    pair: ModelPair,
    contexts: Sequence[Context],
    responses: Sequence[Sequence[int]],
    soft: Tensor | None = None,
    prefixes: Sequence[tuple[int, ...] | None] = (None, None),
) -> tuple[Tensor, Tensor]:
    """:func:`response_states` of model_1 and model_2, ``[N, H]`` each."""
    one, two = (
        response_states(model, contexts, responses, soft, prefix=prefix)
        for model, prefix in zip(pair.models, prefixes, strict=True)
    )
    return one, two
