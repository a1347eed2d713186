from __future__ import annotations

import pytest

from .conftest import LONG, Ask


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2) if LONG else [0])
@pytest.mark.parametrize("what", ["named starts", "starts"])
def test_of_many_starts_one_runs(ask: Ask, what: str, seed: int) -> None:
    ask(what, 20 if LONG else 8, seed)
