from __future__ import annotations

import pytest
from tiny_training import config

from softdiv.training.optimizer import rate_factor


def rates(total, **training):
    factor = rate_factor(config(**training).training, total)
    return [factor(step) for step in range(total)]


def test_warm_up_is_linear():
    assert rates(5, warmup_steps=3) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])
    assert rates(3, warmup_steps=0) == [1, 1, 1]


def test_cosine_starts_at_the_peak_and_falls_through_the_middle():
    found = rates(12, warmup_steps=2, schedule="cosine")
    assert found[2] == 1.0 and found[7] == pytest.approx(0.5)
    assert found[2:] == sorted(found[2:], reverse=True) and 0 < found[-1] < 0.03


def test_linear_falls_evenly():
    assert rates(5, warmup_steps=1, schedule="linear") == pytest.approx([1, 1, 0.75, 0.5, 0.25])


def test_a_warm_up_longer_than_the_training_is_only_a_warm_up():
    assert rates(2, warmup_steps=4, schedule="cosine") == pytest.approx([0.25, 0.5])
