"""How far apart two models are at each of many words, seen from what they compute there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from softdiv.pair.layers import decoder_layers
from softdiv.pair.memory import RowLimit, in_parts
from softdiv.pair.vocabulary import Word, batches, cost, run_at_last
from softdiv.pair.wrapper import ModelWrapper

if TYPE_CHECKING:
    from softdiv.pair.manager import ModelPair

WHOLE_ROWS = 32
"""Words run together where each is a row of its own."""


@torch.no_grad()
def word_differences(
    pair: ModelPair, context: Sequence[int], words: Sequence[Word], limit: RowLimit | None = None
) -> Tensor:
    """Distance of the models' keys, and of their values, at each word's last token behind
    ``context``.

    No weights are read: the models may keep theirs in different ways, or elsewhere. It costs
    what :func:`softdiv.pair.vocabulary.positions` says, twice. Where one of the models keeps no
    keys and values, the states that leave each layer are compared, and every word costs a whole
    row of both.

    Returns:
        ``[W, S]``, on the CPU: S kinds of states, those of the same width in both models.
    """
    cached, limit = all(model.keeps_cache for model in pair.models), limit or RowLimit()
    if cached:
        for model in pair.models:
            model.prefix_cache(context, 1)
    seen_at = _kept if cached else _passed_on

    def work(batch: Sequence[Word]) -> Tensor:
        with pair.ledger.closed():
            both = [seen_at(model, context, batch) for model in pair.models]
            return torch.cat([_distances(*states) for states in zip(*both, strict=True)])

    found: list[Tensor] = []
    for _, batch in batches(words):
        each = cost(batch) if cached else len(batch) * (len(context) + len(batch[0]))
        pair.ledger.charge(2 * each)
        found += in_parts(batch, limit.rows, work, limit.lower)
    return torch.cat(found) if found else torch.zeros(0, 1)


def _distances(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    """``[n, S]`` of those of n words' states that have one width in both models."""
    alike = [(a.float().cpu(), b.float().cpu()) for a, b in zip(one, two, strict=False)]
    norms = [(b - a).norm(dim=-1) for a, b in alike if a.shape == b.shape]
    return torch.stack(norms or [torch.zeros(len(one[0]))], dim=1)


def _kept(
    wrapper: ModelWrapper, context: Sequence[int], words: Sequence[Word]
) -> Iterator[list[Tensor]]:
    """``[n, D]`` each: the words' keys and values of every layer that keeps any."""
    for _, cache in run_at_last(wrapper, context, words):
        yield [
            kind[:, :, -1].flatten(1)
            for layer in cache.layers
            for kind in (layer.keys, layer.values)
            if kind is not None
        ]


def _passed_on(
    wrapper: ModelWrapper, context: Sequence[int], words: Sequence[Word]
) -> Iterator[list[Tensor]]:
    """``[n, H]`` each: what leaves every layer at words of one length."""
    for start in range(0, len(words), WHOLE_ROWS):
        rows = [(*context, *word) for word in words[start : start + WHOLE_ROWS]]
        ids = torch.tensor(rows, device=wrapper.device)
        places = torch.arange(ids.shape[1], device=wrapper.device).expand_as(ids)
        with _leaving(wrapper) as states:
            wrapper.hidden(wrapper.embed(ids), torch.ones_like(ids), places)
        yield states


@contextmanager
def _leaving(wrapper: ModelWrapper) -> Iterator[list[Tensor]]:
    states: list[Tensor] = []

    def keep(_: Any, __: Any, out: Any) -> None:
        states.append((out if isinstance(out, Tensor) else out[0])[:, -1])

    hooks = [layer.register_forward_hook(keep) for layer in decoder_layers(wrapper.model)]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()
