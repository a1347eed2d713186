from __future__ import annotations

import os
from pathlib import Path

import filelock
import pytest

from softdiv.errors import DiskError, RunError
from softdiv.storage import locks
from softdiv.storage.locks import in_use, locked, turn
from softdiv.storage.names import LOCK


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def acquire(self: object, **_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)


def test_the_second_is_told_that_it_is_in_use(tmp_path: Path) -> None:
    first = locked(tmp_path)
    assert in_use(tmp_path)
    with pytest.raises(RunError, match="is in use by another process"):
        locked(tmp_path)
    first.release()
    assert not in_use(tmp_path)
    locked(tmp_path).release()


def test_a_lock_that_cannot_be_opened_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCK).touch()
    refuse(monkeypatch, 13)
    with pytest.raises(DiskError, match=r"run.lock cannot be locked: Permission denied \(mend"):
        locked(tmp_path)
    assert not in_use(tmp_path)  # nor does it keep a list of runs from being shown


def test_turns_leave_no_file_and_do_not_wait_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    with turn(tmp_path):
        assert locks._handle(tmp_path) is None  # another has it
    handle = locks._handle(tmp_path)
    assert handle is not None
    os.close(handle)
    with turn(tmp_path / "none"):  # where it cannot be had, the run's own lock is left
        pass
    assert not list(tmp_path.iterdir())
