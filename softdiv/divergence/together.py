"""Batches run by all ranks together: each runs some of the rows, and all have the whole.

What a batch is charged does not depend on who ran it; rank 0's ledger pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor

from softdiv import errors
from softdiv.divergence.batches import KINDS, Batch, RowTensors, With
from softdiv.divergence.shares import assembled, batches_of, dealt
from softdiv.errors import SoftdivError, TrainingError
from softdiv.pair.memory import RowLimit, in_parts
from softdiv.ranks.group import Ranks
from softdiv.storage.plain import to_plain
from softdiv.storage.records import from_plain


def run_batches(whole: Batch, size: int, given: With, limit: RowLimit, ranks: Ranks) -> RowTensors:
    """The columns of ``whole``, run in batches of ``size`` rows.

    Args:
        limit: of the rows that one process runs at a time; lowered where these do not fit.

    Raises:
        TrainingError: one row alone does not fit into memory.
        SoftdivError: whatever the lowest failing rank met.
    """
    if ranks.leads:
        request = {"kind": type(whole).__name__, "whole": to_plain(whole), "size": size}
        ranks.ask(request, {} if given.soft is None else {"soft": given.soft})
    return _take_part(whole, size, given, limit, ranks)


def serve(given: With, limit: RowLimit, ranks: Ranks) -> None:
    """Take part in what rank 0 runs, and lend it this rank's shards, until it dismisses us.

    Args:
        given: without a soft prompt; rank 0 sends its own.
    """
    for request, tensors in ranks.requests():
        whole = from_plain(KINDS[request["kind"]], request["whole"])
        soft = tensors["soft"].to(given.pair.model_1.device) if tensors else None
        with suppress(Exception):  # rank 0 has been told, raises it and decides
            own = With(pair=given.pair, soft=soft, metrics=given.metrics)
            _take_part(whole, request["size"], own, limit, ranks)


def _take_part(whole: Batch, size: int, given: With, limit: RowLimit, ranks: Ranks) -> RowTensors:
    batches = list(batches_of(whole, size))
    shares = [dealt(batch, ranks.world) for batch in batches]
    sizes, held, found = [limit.rows], [], list[RowTensors]()
    failed: Exception | None = None
    try:
        with given.pair.ledger.closed():
            for batch, share in zip(batches, shares, strict=True):
                held.append(given.cached())
                found.append(_own(batch, given, share[ranks.rank], sizes))
    except Exception as error:  # told to all ranks below, raised there: none waits for this one
        if ranks.world == 1:
            raise
        failed = error
    columns = found
    if ranks.world > 1:
        mine = [] if failed else found
        columns = _exchanged(shares, mine, failed, sizes, given, ranks)
    limit.lower(sizes[-1])
    if ranks.first:
        for batch, cached, part in zip(batches, held, columns, strict=True):
            given.pair.ledger.charge(batch.cost(given, cached, part))
    places, start = [], 0
    for batch in batches:
        places.append(range(start, start + len(batch.contexts)))
        start += len(batch.contexts)
    return assembled(list(zip(places, columns, strict=True)), given.pair.model_1.device)


def _own(batch: Batch, given: With, share: Sequence[int], sizes: list[int]) -> RowTensors:
    """The columns of this rank's rows, in the order of ``share``; empty without any.

    Args:
        sizes: how many rows were run at a time so far; fewer are added where these did not fit.
    """

    def work(places: Sequence[int]) -> tuple[Sequence[int], RowTensors]:
        return places, batch.run(given, [share[place] for place in places])

    parts = list(in_parts(range(len(share)), sizes[-1], work, sizes.append))
    return assembled(parts, given.pair.model_1.device) if parts else {}


def _exchanged(
    shares: Sequence[Sequence[Sequence[int]]],
    own: Sequence[RowTensors],
    failed: Exception | None,
    sizes: list[int],
    given: With,
    ranks: Ranks,
) -> list[RowTensors]:
    """Every batch's columns, from all ranks; what one of them has met is known to all."""
    unavailable = given.metrics.unavailable if given.metrics else {}
    told = {
        "rows": sizes[-1],
        "failed": failed and [type(failed).__name__, str(failed)],
        "unavailable": unavailable,
    }
    sent = {f"{n}:{name}": c for n, columns in enumerate(own) for name, c in columns.items()}
    everyone = ranks.gather_tensors(sent, told)
    for rank, (value, _) in enumerate(everyone):
        if value["failed"]:
            raise failed if failed and rank == ranks.rank else _of_rank(rank, *value["failed"])
    sizes.append(min(value["rows"] for value, _ in everyone))
    for value, _ in everyone:
        unavailable.update({k: v for k, v in value["unavailable"].items() if k not in unavailable})
    device = given.pair.model_1.device
    found = []
    for n, share in enumerate(shares):
        tables = [_of_batch(n, tensors) for _, tensors in everyone]
        found.append(assembled(list(zip(share, tables, strict=True)), device))
    return found


def _of_batch(number: int, tensors: dict[str, Tensor]) -> RowTensors:
    start = f"{number}:"
    return {n.removeprefix(start): c for n, c in tensors.items() if n.startswith(start)}


def _of_rank(rank: int, name: str, text: str) -> SoftdivError:
    """The error of another rank, of its own kind where a user can mend it."""
    kind: Any = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, SoftdivError):
        return kind(text)
    return TrainingError(f"rank {rank} failed", why=f"{name}: {text}")
