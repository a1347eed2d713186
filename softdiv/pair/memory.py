"""Out of memory is answered by smaller parts of the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import attrs
import torch

from softdiv.errors import TrainingError

T = TypeVar("T")
R = TypeVar("R")

_CPU_MESSAGES = ("not enough memory", "DefaultCPUAllocator")


def out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class of its own; on a CPU only the message tells."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(message in str(error) for message in _CPU_MESSAGES)


@attrs.define(eq=False)
class RowLimit:
    """How many rows fit into memory together, as far as has been seen."""

    rows: int = 1 << 16
    """Read, or decoded."""
    backward: int = 1 << 16
    """With a backward pass."""
    told: Callable[[str], None] = attrs.field(factory=lambda: list[str]().append)
    """Receives a line where less fits than was thought."""

    def lower(self, rows: int) -> None:
        """No more than these fit."""
        if rows < self.rows:
            self.rows = rows
            self.told(f"out of memory: {rows} row(s) at a time from here on")

    def lower_backward(self, rows: int) -> None:
        """No more than these fit with a backward pass."""
        if rows < self.backward:
            self.backward = rows
            self.told(f"out of memory: {rows} row(s) per backward pass from here on")


def in_parts(
    items: Sequence[T],
    size: int,
    work: Callable[[Sequence[T]], R],
    shrunk: Callable[[int], None],
) -> Iterator[R]:
    """``work`` of at most ``size`` items at a time; a part that does not fit is halved.

    Args:
        shrunk: told the new size, which holds for the rest of the items.

    Raises:
        TrainingError: a single item does not fit.
    """
    done = 0
    while done < len(items):
        part = items[done : done + size]
        failed = False
        try:
            result = work(part)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if len(part) == 1:
                raise TrainingError(
                    "one text at a time does not fit into memory",
                    why=str(error).splitlines()[0],
                    fix="load the models in fewer bits, ask for shorter answers, or, in training, "
                    "set training.gradient_checkpointing",
                ) from error
            failed = True
        if failed:  # outside the handler, whose traceback keeps the failed pass's tensors alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            size = (len(part) + 1) // 2
            shrunk(size)
            continue
        done += len(part)
        yield result
