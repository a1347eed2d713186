from __future__ import annotations

import pytest

from .conftest import LONG, Ask


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2) if LONG else [0])
def test_a_run_killed_at_any_moment_ends_as_one_that_was_not(ask: Ask, seed: int) -> None:
    count = 25 if LONG else 3
    assert ask("kills", count, seed)["kills"] >= count
