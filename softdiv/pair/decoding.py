"""A batch of contexts of one model, extended token by token from the keys and values it keeps.

Prefilling is most of the work when answers are short, and padding would be half of that: the
contexts are prefilled in small groups of similar length, equal contexts once, and their caches
are then joined into one batch for decoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from softdiv.pair.inputs import assemble
from softdiv.pair.kv_cache import Part, joined
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper

GROUP = 16
"""Contexts prefilled together: enough positions to fill a matrix product, few enough to be of
similar length."""

Layers = list[tuple[Tensor, Tensor]]


class StatesDecoder:
    """What predicts from the states of each row's last position."""

    _wrapper: ModelWrapper
    _states: Tensor
    """``[B, H]``"""

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self._wrapper.device

    def log_probs(self) -> Tensor:
        """``[B, V]`` of the next token, nats."""
        return self._wrapper.log_probs(self._states)


class CachedDecoder(StatesDecoder):
    """B contexts of one model, ready to predict; none longer than an attention window.

    The padding between a shared prefix and the rest of a row would push the prefix out of a
    window too early.

    Args:
        soft: ``[k, H]`` prompt for the contexts' slots.
        prefix: what all begin with, of the batch that these rows are a part of.
    """

    def __init__(
        self,
        wrapper: ModelWrapper,
        contexts: Sequence[Context],
        soft: Tensor | None,
        prefix: tuple[int, ...],
    ) -> None:
        self._wrapper = wrapper
        unique = sorted(dict.fromkeys(contexts), key=len)
        slot = {context: place for place, context in enumerate(unique)}
        index = torch.tensor([slot[context] for context in contexts], device=wrapper.device)
        groups, parts = [], []
        for start in range(0, len(unique), GROUP):
            group = self._prefill(unique[start : start + GROUP], soft, prefix)
            rows = ((index >= start) & (index < start + GROUP)).nonzero()[:, 0]
            parts.append(Part(group.layers, rows, index[rows] - start))
            groups.append(group)
        width = max(group.mask.shape[1] for group in groups)
        self._states = torch.cat([group.states for group in groups])[index]
        self._next = torch.cat([group.next for group in groups])[index]
        self._mask = torch.cat([_left(group.mask, width) for group in groups])[index]
        self._cache = joined(parts, wrapper.model.config)

    @property
    def width(self) -> int:
        """Positions of the longest row, padding included."""
        return int(self._mask.shape[1])

    def advance(self, tokens: Tensor) -> None:
        """Append one token ``[B]`` to every row."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        embeds = self._wrapper.embed(tokens[:, None])
        states = self._wrapper.hidden(embeds, self._mask, self._next, self._cache)
        self._states, self._next = states[:, -1], self._next + 1

    def keep(self, index: Tensor) -> None:
        """Go on with these rows only."""
        self._states, self._next = self._states[index], self._next[index]
        self._mask = self._mask[index]
        self._cache.batch_select_indices(index)

    def _prefill(
        self, contexts: Sequence[Context], soft: Tensor | None, prefix: tuple[int, ...]
    ) -> _Group:
        wrapper = self._wrapper
        batch = assemble(wrapper, contexts, soft=soft, pad_left=True, prefix=prefix)
        cache = batch.cache or DynamicCache(config=wrapper.model.config)
        states = wrapper.hidden(batch.embeds, batch.mask, batch.positions, cache)[:, -1]
        layers = [(layer.keys, layer.values) for layer in cache.layers]
        return _Group(states, batch.positions[:, -1:] + 1, batch.mask, layers)


class _Group:
    """The result of prefilling some contexts."""

    def __init__(self, states: Tensor, following: Tensor, mask: Tensor, layers: Layers) -> None:
        self.states, self.next, self.mask, self.layers = states, following, mask, layers


def _left(mask: Tensor, width: int) -> Tensor:
    """``[B, L]`` padded on the left to ``[B, width]``."""
    return pad(mask, (width - mask.shape[1], 0))
