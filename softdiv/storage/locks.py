"""One process at a time: in a run folder, and among the folders of runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from softdiv.errors import RunError
from softdiv.storage.names import LOCK
from softdiv.storage.refusal import refusal

PATIENCE = 10.0
"""Seconds to wait for another process to find or make its run folder; it takes milliseconds."""


def locked(folder: Path) -> filelock.BaseFileLock:
    """The lock of a run folder, held.

    Raises:
        RunError: another process has it.
        DiskError: it cannot be opened.
    """
    lock = filelock.FileLock(folder / LOCK)
    with refusal(folder / LOCK, "locked"):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:  # an OSError too
            raise RunError(
                f"run {folder} is in use by another process",
                fix="wait for it, or choose --output-dir",
            ) from error
    return lock


def in_use(folder: Path) -> bool:
    """Whether another process holds the lock; False too where it may not be opened."""
    if not (folder / LOCK).is_file():
        return False
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    except OSError:  # a folder that is only to be read; removing it fails for the same reason
        return False
    lock.release()
    return False


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Take turns at finding, making and removing run folders in ``folder``.

    Without this, twenty starts of one command could each see no run yet and make one. The folder
    itself is locked, so that no file is left. Where that cannot be done, or another process holds
    it for longer than ``PATIENCE``, the lock of the run alone protects it.
    """
    handle = _handle(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _handle(folder: Path) -> int | None:
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # this file system locks no folders
            break
        else:
            return handle
    os.close(handle)
    return None
