"""One pass of a model over many words behind one context: what its matrices read at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from softdiv.pair.wrapper import ModelWrapper

ROWS = 256
"""Words run together; each is one position behind the cached context."""

Seen = Callable[[int, Tensor], None]
"""Given a module's place among those watched, and what it reads: ``[n, H]``, one row a word."""


@torch.no_grad()
def run_words(
    wrapper: ModelWrapper,
    context: Sequence[int],
    words: Sequence[int],
    modules: Sequence[nn.Module],
    seen: Seen,
) -> Iterator[slice]:
    """Run each word's token behind ``context``; yields the words done after each batch.

    Costs one position a word, and the context once.
    """
    wrapper.prefix_cache(context, 1)  # before anything is watched
    with _watched(modules, seen):
        for start in range(0, len(words), ROWS):
            ids = torch.tensor(words[start : start + ROWS], device=wrapper.device)[:, None]
            mask = torch.ones(len(ids), len(context) + 1, dtype=torch.long, device=wrapper.device)
            places = torch.full_like(ids, len(context))
            cache = wrapper.prefix_cache(context, len(ids))
            wrapper.hidden(wrapper.embed(ids), mask, places, cache)
            yield slice(start, start + len(ids))


def read_together(
    wrapper: ModelWrapper, context: Sequence[int], word: int, modules: Sequence[nn.Module]
) -> list[int]:
    """For each module, the place of the first that reads the very same tensor as it does."""
    inputs: dict[int, Tensor] = {}
    for _ in run_words(wrapper, context, [word], modules, inputs.__setitem__):
        pass
    firsts: list[int] = []
    for place in range(len(modules)):
        mine = inputs.get(place)
        same = (
            n
            for n in range(place)
            if mine is not None and n in inputs and torch.equal(inputs[n], mine)
        )
        firsts.append(next(same, place))
    return firsts


@contextmanager
def _watched(modules: Sequence[nn.Module], seen: Seen) -> Iterator[None]:
    def watch(place: int) -> Any:
        return lambda module, args: seen(place, args[0].reshape(-1, args[0].shape[-1]))

    hooks = [m.register_forward_pre_hook(watch(place)) for place, m in enumerate(modules)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
