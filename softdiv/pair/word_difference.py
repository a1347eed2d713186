"""How far apart two models are at each of many words, seen from what they compute there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from softdiv.pair.layers import decoder_layers
from softdiv.pair.vocabulary import Word, run_at_last
from softdiv.pair.wrapper import ModelWrapper

if TYPE_CHECKING:
    from softdiv.pair.manager import ModelPair

WHOLE_ROWS = 32
"""Words run together where each is a row of its own."""


@torch.no_grad()
def word_differences(pair: ModelPair, context: Sequence[int], words: Sequence[Word]) -> Tensor:
    """Distance of the models' keys, and of their values, at each word's last token behind
    ``context``.

    No weights are read: the models may keep theirs in different ways, or elsewhere. It costs
    what :func:`softdiv.pair.vocabulary.positions` says, twice. Where one of the models keeps no
    keys and values, the states that leave each layer are compared, and every word costs a whole
    row of both.

    Returns:
        ``[W, S]``, on the CPU: S kinds of states, those of the same width in both models.
    """
    seen_at = _kept if pair.model_1.keeps_cache and pair.model_2.keeps_cache else _passed_on
    both = (seen_at(model, context, words) for model in (pair.model_1, pair.model_2))
    found = [
        torch.stack(
            [
                (two.float().cpu() - one.float().cpu()).norm(dim=-1)
                for one, two in zip(*states, strict=False)
                if one.shape == two.shape
            ]
            or [torch.zeros(len(states[0][0]))],
            dim=1,
        )
        for states in zip(*both, strict=True)
    ]
    return torch.cat(found) if found else torch.zeros(0, 1)


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
    """``[n, H]`` each: what leaves every layer at the words."""
    for _, group in itertools.groupby(words, key=len):
        alike = list(group)
        for start in range(0, len(alike), WHOLE_ROWS):
            rows = [(*context, *word) for word in alike[start : start + WHOLE_ROWS]]
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
