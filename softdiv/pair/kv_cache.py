"""The keys and values of a decoding batch, with room for the tokens to come.

transformers' ``DynamicLayer`` copies all earlier positions for every token decoded (`torch.cat`):
an eighth of a rollout's time. Here a token is written into a buffer that has room already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

ROOM = 24
"""Positions to spare when a buffer is made; short answers never need a second one."""


@attrs.frozen(eq=False)
class Part:
    """Some rows of a batch: per layer keys and values ``[N, heads, L, d]`` of N contexts; row
    ``rows[i]`` of the batch is context ``which[i]`` of these."""

    layers: list[tuple[Tensor, Tensor]]
    rows: Tensor
    which: Tensor


def joined(parts: Sequence[Part], config: PreTrainedConfig) -> DynamicCache:
    """One cache of all rows, shorter ones padded with zeros on the left. Takes the parts' layers
    away one by one: each is freed as soon as it is joined."""
    cache = DynamicCache(config=config)
    for number in range(len(parts[0].layers)):
        pieces = [part.layers.pop(0) for part in parts]
        layer = cache.layers[number]
        if type(layer) is DynamicLayer:  # a sliding window drops positions: its own code knows how
            cache.layers[number] = layer = _Roomy()
        room = ROOM if isinstance(layer, _Roomy) else 0
        keys, values = (_join(parts, [piece[kind] for piece in pieces], room) for kind in (0, 1))
        width = keys.shape[2] - room
        if isinstance(layer, _Roomy):
            layer.fill(keys, values, width)
        else:
            layer.update(keys, values)
    return cache


def _join(parts: Sequence[Part], pieces: Sequence[Tensor], room: int) -> Tensor:
    """``[B, heads, width + room, d]`` of one layer."""
    width = max(piece.shape[2] for piece in pieces)
    _, heads, _, size = pieces[0].shape
    batch = sum(len(part.rows) for part in parts)
    whole = pieces[0].new_zeros(batch, heads, width + room, size)
    for piece, part in zip(pieces, parts, strict=True):
        whole[part.rows, :, width - piece.shape[2] : width] = piece[part.which]
    return whole


class _Roomy(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """``keys`` and ``values`` are the filled part of larger buffers."""

    def fill(self, keys: Tensor, values: Tensor, width: int) -> None:
        """Take over buffers ``[B, heads, width + room, d]`` whose first ``width`` are filled."""
        self.lazy_initialization(keys, values)
        self._buffers: tuple[Tensor, Tensor] | None = (keys, values)
        self.keys, self.values = keys[:, :, :width], values[:, :, :width]

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        before, new = self.keys.shape[2], key_states.shape[2]
        if self._buffers is None or before + new > self._buffers[0].shape[2]:
            spare = torch.nn.functional.pad
            self._buffers = (
                spare(self.keys, (0, 0, 0, new + ROOM)),
                spare(self.values, (0, 0, 0, new + ROOM)),
            )
        keys, values = self._buffers
        keys[:, :, before : before + new] = key_states
        values[:, :, before : before + new] = value_states
        self.keys, self.values = keys[:, :, : before + new], values[:, :, : before + new]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = None  # these rows are a copy without room
