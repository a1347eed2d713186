"""ENOSPC, EIO, EACCES and EINTR on open, write, fsync, rename, mkdir and unlink."""

from __future__ import annotations

import pytest

from .conftest import LONG, Ask


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(6) if LONG else [0])
def test_every_call_of_a_run_may_fail(ask: Ask, part: int) -> None:
    ask("failing calls", 0 if LONG else 5, part)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(6) if LONG else [1])
def test_every_call_of_a_run_may_be_its_last(ask: Ask, part: int) -> None:
    ask("kills at calls", 8 if LONG else 4, part)
