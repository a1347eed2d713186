"""Intervals, paired tests and the correction, against facts known without our code."""

from __future__ import annotations

import numpy as np
import pytest

from softdiv.evaluation.statistics import benjamini_hochberg, interval, paired_p_value


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        found = interval(rng.normal(3.0, 1.0, 20).tolist(), resamples=300, seed=trial)
        covered += found.low <= 3.0 <= found.high
    assert 0.87 <= covered / 200 <= 0.99


def test_interval_of_equal_values_is_the_value() -> None:
    found = interval([0.0] * 8, resamples=300, seed=0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_sign_flip_test_is_exact_for_few_texts() -> None:
    assert paired_p_value([1.0] * 5, [0.0] * 5, seed=0) == pytest.approx(1 / 32)
    assert paired_p_value([0.0] * 5, [1.0] * 5, seed=0) == 1.0


def test_sign_flip_test_is_one_sided_and_never_zero() -> None:
    ours, theirs = [5.0 + i for i in range(30)], [0.0] * 30
    assert 0 < paired_p_value(ours, theirs, seed=0) <= 2e-4
    assert paired_p_value(theirs, ours, seed=0) == 1.0


def test_benjamini_hochberg_worked_example() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert benjamini_hochberg([]) == []
