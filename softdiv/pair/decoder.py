"""One model's half of a lockstep decoding: a batch of contexts, extended token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs
import torch
from torch import Tensor

from softdiv.pair.decoding import CachedDecoder, StatesDecoder
from softdiv.pair.inputs import Frame, assemble
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper

ROWS = 32
"""Rows run anew together: whole rows are longer than one token, and so are their activations."""


class Decoder(Protocol):
    """B rows, ready to predict."""

    @property
    def device(self) -> torch.device:
        """The model's."""
        ...

    def log_probs(self) -> Tensor:
        """``[B, V]`` of the next token, nats."""
        ...

    def advance(self, tokens: Tensor) -> None:
        """Append one token ``[B]`` to every row."""
        ...

    def keep(self, index: Tensor) -> None:
        """Go on with these rows only."""
        ...


def start_decoding(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    soft: Tensor | None = None,
    frame: Frame | None = None,
) -> Decoder:
    """B contexts of one model.

    Args:
        soft: ``[k, H]`` prompt for the contexts' slots.
        frame: of the batch that these are a part of; by default they are all of it.
    """
    frame = frame or Frame.of(contexts, soft)
    if not wrapper.keeps_cache:
        return RerunDecoder(wrapper, contexts, soft)
    if (window := wrapper.window) is not None:
        return WindowDecoder(wrapper, contexts, soft, frame, window)
    return CachedDecoder(wrapper, contexts, soft, frame.prefix)


class WindowDecoder:
    """Decodes from keys and values while every layer sees whole rows, and runs rows anew then."""

    def __init__(
        self,
        wrapper: ModelWrapper,
        contexts: Sequence[Context],
        soft: Tensor | None,
        frame: Frame,
        window: int,
    ) -> None:
        self._wrapper, self._soft, self._window = wrapper, soft, window
        self._rows = list(contexts)
        self._inner: CachedDecoder | RerunDecoder
        if frame.longest < window:
            self._inner = CachedDecoder(wrapper, contexts, soft, frame.prefix)
        else:
            self._inner = RerunDecoder(wrapper, contexts, soft)

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self._inner.device

    def log_probs(self) -> Tensor:
        """``[B, V]`` of the next token, nats."""
        return self._inner.log_probs()

    def advance(self, tokens: Tensor) -> None:
        """Append one token ``[B]`` to every row."""
        self._rows = [
            _extended(row, token) for row, token in zip(self._rows, tokens.tolist(), strict=True)
        ]
        if isinstance(self._inner, CachedDecoder) and self._inner.width >= self._window:
            self._inner = RerunDecoder(self._wrapper, self._rows, self._soft)
        else:
            self._inner.advance(tokens)

    def keep(self, index: Tensor) -> None:
        """Go on with these rows only."""
        self._rows = [self._rows[place] for place in index.tolist()]
        self._inner.keep(index)


def _extended(row: Context, token: int) -> Context:
    if row.has_slot:
        return attrs.evolve(row, after=(*row.after, token))
    return attrs.evolve(row, before=(*row.before, token))


class RerunDecoder(StatesDecoder):
    """Runs every row anew for each token: right for any causal model, and T times the work.

    For models that carry a state which padding would change (state-space layers, linear
    attention), or that take positions from the length of their cache; and for rows longer than a
    layer's window.
    """

    def __init__(
        self, wrapper: ModelWrapper, contexts: Sequence[Context], soft: Tensor | None = None
    ) -> None:
        self._wrapper = wrapper
        batch = assemble(wrapper, contexts, soft=soft, pad_left=False, prefix=())
        self._embeds, self._lengths = batch.embeds, batch.lengths
        self._states = self._run()

    def advance(self, tokens: Tensor) -> None:
        """Append one token ``[B]`` to every row."""
        grown = torch.nn.functional.pad(self._embeds, (0, 0, 0, 1))
        grown[torch.arange(len(tokens), device=self.device), self._lengths] = self._wrapper.embed(
            tokens
        )
        self._lengths = self._lengths + 1
        self._embeds = grown[:, : int(self._lengths.max())]
        self._states = self._run()

    def keep(self, index: Tensor) -> None:
        """Go on with these rows only."""
        self._embeds, self._lengths = self._embeds[index], self._lengths[index]
        self._states = self._states[index]

    def _run(self) -> Tensor:
        """``[B, H]`` states that predict the next token."""
        found = []
        for embeds, lengths in zip(
            self._embeds.split(ROWS), self._lengths.split(ROWS), strict=True
        ):
            part = embeds[:, : int(lengths.max())].clone()  # GIT adds its positions in place
            index = torch.arange(part.shape[1], device=self.device).expand(len(part), -1)
            mask = (index < lengths[:, None]).long()
            states = self._wrapper.hidden(part, mask, index)
            found.append(states[torch.arange(len(part), device=self.device), lengths - 1])
        return torch.cat(found)
