"""Choosing tokens: right distribution, reproducible, independent of the batch."""

from __future__ import annotations

import math

import pytest
import torch

from softdiv.pair.sampling import Sampling, draw, mix, uniform_rows

SCORES = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def frequencies(sampling: Sampling, count: int = 20_000) -> list[float]:
    uniforms = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens = draw(SCORES.expand(count, -1), uniforms, sampling)
    return [float((tokens == token).double().mean()) for token in range(4)]


def test_follows_the_distribution() -> None:
    assert frequencies(Sampling(temperature=1.0)) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=1e-3)


def test_temperature_sharpens() -> None:
    raw = [p ** (1 / 0.5) for p in (0.5, 0.3, 0.15, 0.05)]
    wanted = [p / sum(raw) for p in raw]
    assert frequencies(Sampling(temperature=0.5)) == pytest.approx(wanted, abs=1e-3)


def test_nucleus_keeps_the_token_that_crosses_it() -> None:
    wanted = [0.5 / 0.8, 0.3 / 0.8, 0, 0]
    assert frequencies(Sampling(temperature=1.0, top_p=0.7)) == pytest.approx(wanted, abs=1e-3)


def test_zero_temperature_is_greedy() -> None:
    assert frequencies(Sampling(temperature=0), 10) == [1.0, 0, 0, 0]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_the_ends_of_the_interval_never_give_an_impossible_token(uniform: float) -> None:
    scores = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]])
    uniforms = torch.tensor([uniform], dtype=torch.float64)
    assert draw(scores, uniforms, Sampling(temperature=1.0)).item() in (1, 2)


def test_mixtures() -> None:
    log_1, log_2 = torch.randn(2, 3, 6).log_softmax(-1)
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 3.0]])
    scores = mix(log_1, log_2, weights, max_gap=1.0)
    assert torch.equal(scores[0], log_1[0])
    assert torch.equal(scores[1], log_2[1])
    kept = log_2[2] >= log_2[2].max() - 1.0
    assert torch.allclose(scores[2][kept], (3 * log_2[2] - 2 * log_1[2])[kept])
    assert bool(torch.isneginf(scores[2][~kept]).all())


def test_random_numbers_belong_to_their_key() -> None:
    rows = uniform_rows(["a", "b"], seed=0, length=5)
    assert torch.equal(uniform_rows(["b"], 0, 5)[0], rows[1])
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(uniform_rows(["a"], 1, 5)[0], rows[0])
