from __future__ import annotations

import pytest

from .conftest import LONG, Ask


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4) if LONG else [0])
def test_no_bit_changes_a_result_unseen(ask: Ask, seed: int) -> None:
    ask("flips", 50 if LONG else 6, seed)
