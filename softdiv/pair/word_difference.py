"""How far apart two models are at each of many words, seen from what they compute there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from softdiv.pair.layers import decoder_layers
from softdiv.pair.vocabulary import ROWS
from softdiv.pair.wrapper import ModelWrapper

if TYPE_CHECKING:
    from softdiv.pair.manager import ModelPair

WHOLE_ROWS = 32
"""Words run together where each is a row of its own."""


@torch.no_grad()
def word_differences(pair: ModelPair, context: Sequence[int], words: Sequence[int]) -> Tensor:
    """Distance of the models' keys, and of their values, at each word behind ``context``.

    No weights are read: the models may keep theirs in different ways, or elsewhere. It costs two
    positions a word. Where one of the models keeps no keys and values, the states that leave each
    layer are compared, and every word costs a whole row of both.

    Returns:
        ``[W, S]``, on the CPU: S kinds of states, those of the same width in both models.
    """
    cached = pair.model_1.keeps_cache and pair.model_2.keeps_cache
    seen_at, rows = (_kept, ROWS) if cached else (_passed_on, WHOLE_ROWS)
    both = (pair.model_1, pair.model_2)
    found = []
    for start in range(0, len(words), rows):
        part = words[start : start + rows]
        one, two = ([s.float().cpu() for s in seen_at(m, context, part)] for m in both)
        found.append(
            torch.stack(
                [(b - a).norm(dim=-1) for a, b in zip(one, two, strict=False) if a.shape == b.shape]
                or [torch.zeros(len(part))],
                dim=1,
            )
        )
    return torch.cat(found) if found else torch.zeros(0, 1)


def _kept(wrapper: ModelWrapper, context: Sequence[int], words: Sequence[int]) -> list[Tensor]:
    """``[n, D]`` each: the words' keys and values of every layer that keeps any."""
    ids = torch.tensor(words, device=wrapper.device)[:, None]
    cache = wrapper.prefix_cache(context, len(ids))
    mask = torch.ones(len(ids), len(context) + 1, dtype=torch.long, device=wrapper.device)
    wrapper.hidden(wrapper.embed(ids), mask, torch.full_like(ids, len(context)), cache)
    return [
        kind[:, :, -1].flatten(1)
        for layer in cache.layers
        for kind in (layer.keys, layer.values)
        if kind is not None
    ]


def _passed_on(wrapper: ModelWrapper, context: Sequence[int], words: Sequence[int]) -> list[Tensor]:
    """``[n, H]`` each: what leaves every layer at the words."""
    ids = torch.tensor([[*context, word] for word in words], device=wrapper.device)
    places = torch.arange(ids.shape[1], device=wrapper.device).expand_as(ids)
    with _leaving(wrapper) as states:
        wrapper.hidden(wrapper.embed(ids), torch.ones_like(ids), places)
    return states


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
