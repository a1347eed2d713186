"""Rows dealt to ranks, and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

import attrs
import torch

from softdiv.divergence.batches import Batch, RowTensors
from softdiv.pair.decoding import GROUP
from softdiv.pair.layout import Context

B = TypeVar("B", bound=Batch)

PER_ROW = ("contexts", "weights", "keys", "responses")


def batches_of(whole: B, size: int) -> Iterator[B]:
    """Consecutive rows, ``size`` at most in each."""
    names = [name for name in PER_ROW if hasattr(whole, name)]
    for start in range(0, len(whole.contexts), size):
        part = {name: getattr(whole, name)[start : start + size] for name in names}
        yield cast(B, attrs.evolve(cast(Any, whole), **part))


def assembled(
    parts: Sequence[tuple[Sequence[int], RowTensors]], device: torch.device
) -> RowTensors:
    """The columns of whole rows from those of parts, each with the places of its rows.

    A column that a part lacks is left out: a metric had failed there.
    """
    filled = [(list(rows), columns) for rows, columns in parts if len(rows)]
    if len(filled) == 1 and filled[0][0] == list(range(len(filled[0][0]))):
        return filled[0][1]
    whole: RowTensors = {}
    for name, first in filled[0][1].items():
        if any(name not in columns for _, columns in filled):
            continue
        shapes = [columns[name].shape[1:] for _, columns in filled]
        count, widest = sum(len(rows) for rows, _ in filled), map(max, zip(*shapes, strict=True))
        joined = whole[name] = first.new_zeros((count, *widest), device=device)
        for rows, columns in filled:
            places, column = torch.tensor(rows, device=device), columns[name].to(device)
            if column.dim() == 1:
                joined[places] = column
            else:
                joined[places, : column.shape[1]] = column
    return whole


def dealt(batch: Batch, world: int) -> list[Sequence[int]]:
    """The rows of each rank, about as much work for each. Equal contexts, which are read once, stay
    together where they are few, and so do those of similar length, which need little padding.
    Rank 0 has some."""
    count = len(batch.contexts)
    if world == 1:
        return [range(count)]
    alike: dict[Context, list[int]] = {}
    for row, context in enumerate(batch.contexts):
        alike.setdefault(context, []).append(row)
    most = -(-count // world)
    groups = [g[n : n + most] for g in alike.values() for n in range(0, len(g), most)]
    groups.sort(key=lambda group: -len(batch.contexts[group[0]]))
    pieces = world * -(-len(groups) // (world * GROUP))
    weights = [_weight(batch, group) for group in groups]
    chunks: list[list[int]] = [[] for _ in range(pieces)]
    before = 0
    for group, weight in zip(groups, weights, strict=True):
        chunks[int((before + weight / 2) * pieces / sum(weights))] += group
        before += weight
    found: list[list[int]] = [[] for _ in range(world)]
    for chunk in sorted(chunks, key=lambda rows: -_weight(batch, rows)):
        loads = [_weight(batch, rows) for rows in found]
        found[loads.index(min(loads))] += chunk
    return list(found)


def _weight(batch: Batch, rows: Sequence[int]) -> int:
    """Positions read: each context once, then a row's tokens one by one."""
    contexts = {batch.contexts[row] for row in rows}
    return sum(map(len, contexts)) + len(rows) * getattr(batch, "tokens", 1)
