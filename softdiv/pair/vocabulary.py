"""One pass of a model over many words behind one context: what its matrices read at each."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from softdiv.errors import DiskError
from softdiv.pair.memory import RowLimit, in_parts
from softdiv.pair.wrapper import ModelWrapper
from softdiv.storage.atomic import read_tensors, write_tensors
from softdiv.storage.cache import cached_folder

ROWS = 256
"""Words run together; the last token of each is one position behind the cached context."""
Word = tuple[int, ...]
"""Its tokens."""
KEPT = torch.float16
LARGEST = 1 << 30
"""Bytes of states that are kept in the cache; what is larger is run anew each time."""
STATES = "states"

Seen = Callable[[str, Tensor], None]
"""Given a module's name, and what it reads: ``[n, H]``, one row a word."""
WatchedModules = Mapping[str, nn.Module]


def word_states(
    wrapper: ModelWrapper,
    context: Sequence[int],
    words: Sequence[Word],
    modules: WatchedModules,
    limit: RowLimit | None = None,
) -> Iterator[tuple[str, slice, Tensor]]:
    """What each module reads at each word's last token behind ``context``, in fp16.

    Kept in softdiv's cache by the model's weights, so that another pair of the same model finds
    it there. The ledger is charged all the same: what a method costs does not depend on what ran
    before.

    Args:
        modules: by name, inside the model.
        limit: how many words fit into memory at a time.

    Yields:
        A module's name, some of the words, and ``[n, H]`` states.
    """
    widths = [getattr(m, "in_features", getattr(m, "nx", 0)) for m in modules.values()]
    if 2 * sum(widths) * len(words) <= LARGEST:
        before, key = wrapper.ledger.total, _key(wrapper, context, words, modules)

        def keep(made: Path) -> None:
            _keep(made, modules, run_words(wrapper, context, words, modules, limit))

        try:
            folder = cached_folder(f"words/{key}", keep)
        except DiskError:
            pass
        else:
            if wrapper.ledger.total == before:
                wrapper.ledger.charge(len(context) + positions(words), with_backward=False)
            for place, name in enumerate(modules):
                yield name, slice(0, len(words)), read_tensors(_file(folder, place))[0][STATES]
            return
    yield from run_words(wrapper, context, words, modules, limit)


def run_words(
    wrapper: ModelWrapper,
    context: Sequence[int],
    words: Sequence[Word],
    modules: WatchedModules,
    limit: RowLimit | None = None,
) -> Iterator[tuple[str, slice, Tensor]]:
    """As :func:`word_states`, computed now, batch after batch."""
    wrapper.forget_prefixes()
    wrapper.prefix_cache(context, 1)  # before anything is watched
    read: dict[str, Tensor] = {}
    with torch.no_grad(), _watched(modules, read.__setitem__):
        for part, _ in run_at_last(wrapper, context, words, limit):
            for name, states in read.items():
                yield name, part, states.to(KEPT)


def positions(words: Sequence[Word]) -> int:
    """What a pass over them costs behind a context: the last token of each, and once a batch
    what several begin with."""
    return sum(cost(batch) for _, batch in batches(words))


def cost(batch: Sequence[Word]) -> int:
    """Of words of one length."""
    begun = {word[:-1] for word in batch}
    return len(batch) + len(begun) * (len(batch[0]) - 1)


@torch.no_grad()
def run_at_last(
    wrapper: ModelWrapper,
    context: Sequence[int],
    words: Sequence[Word],
    limit: RowLimit | None = None,
) -> Iterator[tuple[slice, DynamicCache]]:
    """Run the words behind ``context``, batch after batch; in each, what several words begin with
    is run once.

    Yields:
        Some of the words, and their keys and values when the last token of each has been run.
    """
    limit = limit or RowLimit()
    wrapper.prefix_cache(context, 1)

    def work(part: Sequence[int]) -> tuple[slice, DynamicCache]:
        with wrapper.ledger.closed():
            cache = _cache_of(wrapper, context, [words[n] for n in part])
        return slice(part[0], part[-1] + 1), cache

    for start, batch in batches(words):
        wrapper.ledger.charge(cost(batch))
        yield from in_parts(range(start, start + len(batch)), limit.rows, work, limit.lower)


def _cache_of(wrapper: ModelWrapper, context: Sequence[int], words: Sequence[Word]) -> DynamicCache:
    """Keys and values of words of one length behind ``context``."""
    begun = [word[:-1] for word in words]
    beginnings = list(dict.fromkeys(begun))
    cache = wrapper.prefix_cache(context, len(beginnings) if begun[0] else len(words))
    if begun[0]:
        _run(wrapper, beginnings, len(context), cache)
        places = [beginnings.index(one) for one in begun]
        cache.batch_select_indices(torch.tensor(places, device=wrapper.device))
    _run(wrapper, [word[-1:] for word in words], len(context) + len(begun[0]), cache)
    return cache


def _run(wrapper: ModelWrapper, rows: Sequence[Word], behind: int, cache: DynamicCache) -> None:
    ids = torch.tensor(rows, device=wrapper.device)
    places = behind + torch.arange(ids.shape[1], device=wrapper.device).expand_as(ids)
    mask = torch.ones(len(ids), behind + ids.shape[1], dtype=torch.long, device=wrapper.device)
    wrapper.hidden(wrapper.embed(ids), mask, places, cache)


def batches(words: Sequence[Word]) -> Iterator[tuple[int, Sequence[Word]]]:
    """Where each batch starts, and its words, which are of one length."""
    start = 0
    for _, group in itertools.groupby(words, key=len):
        alike = list(group)
        for first in range(0, len(alike), ROWS):
            yield start + first, alike[first : first + ROWS]
        start += len(alike)


def read_together(
    wrapper: ModelWrapper, context: Sequence[int], word: Word, modules: WatchedModules
) -> dict[str, str]:
    """For each module that runs, the first that reads the very same states as it does."""
    inputs = {name: states for name, _, states in run_words(wrapper, context, [word], modules)}
    firsts: dict[str, str] = {}
    for name, states in inputs.items():
        same = (first for first in firsts if torch.equal(inputs[first], states))
        firsts[name] = next(same, name)
    return firsts


def _key(
    wrapper: ModelWrapper, context: Sequence[int], words: Sequence[Word], modules: WatchedModules
) -> str:
    """Of the model's weights and shape, and of what is asked."""
    asked = [list(context), list(words), list(modules), wrapper.model.config.to_dict()]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode())
    for name, tensor in (*wrapper.model.named_parameters(), *wrapper.model.named_buffers()):
        bits = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(bits.numpy().data)
    return digest.hexdigest()


def _keep(
    folder: Path, modules: WatchedModules, found: Iterator[tuple[str, slice, Tensor]]
) -> None:
    parts: dict[str, list[Tensor]] = {name: [] for name in modules}
    for name, _, states in found:
        parts[name].append(states.cpu())
    for place, read in enumerate(parts.values()):
        write_tensors(_file(folder, place), {STATES: torch.cat(read)})


def _file(folder: Path, place: int) -> Path:
    return folder / f"{place}.safetensors"


@contextmanager
def _watched(modules: WatchedModules, seen: Seen) -> Iterator[None]:
    def watch(name: str) -> Any:
        return lambda module, args: seen(name, args[0].reshape(-1, args[0].shape[-1]))

    hooks = [m.register_forward_pre_hook(watch(name)) for name, m in modules.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
