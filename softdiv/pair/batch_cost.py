"""What a batch costs in forward-token equivalents, however it was run.

Ranks share a batch, and one that does not fit into memory is run in parts; both read what is shared
more than once, and pad otherwise. Charged is what one process pays that runs the batch at once, so
that a budget buys the same everywhere. It mirrors the decoders and
:func:`softdiv.pair.inputs.assemble`; a test holds it to what these charge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from softdiv.pair.decoder import ROWS
from softdiv.pair.decoding import GROUP
from softdiv.pair.inputs import Frame, kept_prefix
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper

Prefix = tuple[int, ...]


def decoding_cost(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    width: int,
    lengths: Sequence[int],
    share: float,
    cached: Prefix,
) -> int:
    """Of answers of known lengths.

    Args:
        width: tokens of the soft prompt, 0 without one.
        lengths: tokens of each answer, 1 or more; the last one of each is never read.
        share: finished rows are dropped once at most this share of the rows goes on.
        cached: the prefix whose keys and values were held before.
    """
    whole = [len(context) + width * context.has_slot for context in contexts]
    frame, window = Frame.of(contexts, None), wrapper.window
    if not wrapper.keeps_cache or (window is not None and max(whole) >= window):
        total, seen = _anew(whole), None
    else:
        total, seen = _prefilled(contexts, width, frame.prefix)
        total += _read(frame.prefix, cached)
    for step, rows in enumerate(_going(lengths, share), 1):
        if seen is None or (window is not None and seen >= window):
            total, seen = total + _anew([whole[row] + step for row in rows]), None
        else:
            total, seen = total + len(rows), seen + 1
    return total


def scoring_cost(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    width: int,
    responses: Sequence[Sequence[int]],
    cached: Prefix,
    *,
    backward: bool = False,
    recompute: bool = False,
) -> int:
    """Of given answers, teacher-forced.

    Args:
        width, cached: as in :func:`decoding_cost`.
        backward: with the gradient with respect to the soft prompt.
        recompute: which computes the forward pass again.
    """
    prefix = () if recompute else kept_prefix(wrapper, contexts)
    rows = zip(contexts, responses, strict=True)
    longest = max(len(c) + width * c.has_slot + len(response) for c, response in rows)
    passes = 1 + backward * (2 + recompute)
    return passes * len(contexts) * (longest - len(prefix)) + _read(prefix, cached)


def _read(prefix: Prefix, cached: Prefix) -> int:
    return len(prefix) if prefix != cached else 0


def _prefilled(contexts: Sequence[Context], width: int, prefix: Prefix) -> tuple[int, int]:
    """Positions computed, and those of the widest row, padding included."""
    unique = sorted(dict.fromkeys(contexts), key=len)
    total = widest = 0
    for start in range(0, len(unique), GROUP):
        group = unique[start : start + GROUP]
        own = max(len(c) + width * c.has_slot for c in group) - len(prefix)
        total, widest = total + len(group) * own, max(widest, own)
    return total, widest + len(prefix)


def _anew(lengths: Sequence[int]) -> int:
    """Of rows run whole."""
    parts = (lengths[start : start + ROWS] for start in range(0, len(lengths), ROWS))
    return sum(len(part) * max(part) for part in parts)


def _going(lengths: Sequence[int], share: float) -> Iterator[list[int]]:
    """The rows decoded after each step but the last."""
    rows = list(range(len(lengths)))
    for step in range(1, max(lengths)):
        alive = [row for row in rows if lengths[row] > step]
        if len(alive) <= share * len(rows):
            rows = alive
        yield rows
