"""Where the processes of a launcher meet, in bounded time."""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
from collections.abc import Iterator
from typing import Any

import torch.distributed as dist

from softdiv.errors import TrainingError
from softdiv.plugin.watchdog import JOIN_TIMEOUT
from softdiv.ranks.launch import Launch

LATER = datetime.timedelta(minutes=30)
"""Patience of what comes after the meeting: torch's own."""
GRACE = 5.0
"""Seconds after which the meeting is given up where torch has not noticed that time is up."""


def met(launch: Launch, seconds: float) -> Any:
    """The store that the ranks share, once all are there.

    Apart from :func:`torch.distributed.init_process_group`, which has one patience for meeting and
    for every later call; and in a thread, because a client of another program's port waits forever.

    Raises:
        TrainingError: the others cannot be reached or do not come, or the port is taken.
    """
    found: list[Any] = []
    failed: list[RuntimeError] = []

    def meet() -> None:
        try:
            meetings = dist.rendezvous(  # type: ignore[attr-defined]
                "env://",
                launch.rank,
                launch.world,
                timeout=datetime.timedelta(seconds=seconds),
            )
            store = next(meetings)[0]
            store.set_timeout(LATER)  # as init_process_group would have
            found.append(store)
        except RuntimeError as error:  # torch's own for sockets and stores
            failed.append(error)

    thread = threading.Thread(target=meet, daemon=True)
    with _no_stack_of_cpp():
        thread.start()
        thread.join(seconds + GRACE)
    if found:
        return found[0]
    if failed and "failed to listen" in str(failed[0]):
        raise TrainingError(
            f"rank {launch.rank} cannot listen on MASTER_PORT {launch.port}",
            why="another program does, or the port is reserved",
            fix="choose another port; torchrun --standalone takes a free one",
        ) from failed[0]
    raise TrainingError(
        f"rank {launch.rank} of {launch.world} did not meet the others at "
        f"{launch.host}:{launch.port} within {seconds:g} s ({JOIN_TIMEOUT})",
        why="they did not start, or cannot be reached",
        fix="start all of them with torchrun; or, to train in one process, unset WORLD_SIZE",
    ) from (failed[0] if failed else None)


@contextlib.contextmanager
def _no_stack_of_cpp() -> Iterator[None]:
    """torch's C++ prints a stack trace for what is raised as an exception anyway."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
