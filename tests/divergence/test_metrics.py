"""Metrics by subclass, beside those of a config."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv import DivergenceMetrics, Rows
from softdiv.divergence.kernels import kl, total_variation


def rows(count: int = 3) -> Rows:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, count, 20, generator=generator).log_softmax(-1)
    return Rows(
        log_probs_1=first,
        log_probs_2=second,
        targets=torch.zeros(count, dtype=torch.long),
        example_index=torch.arange(count),
    )


class Mine(DivergenceMetrics):
    def compute_kl(self, outputs_1: Tensor, outputs_2: Tensor) -> Tensor:
        return kl(outputs_1, outputs_2)

    def compute_mean_tv(self, outputs_1: Tensor, outputs_2: Tensor) -> float:
        return float(total_variation(outputs_1, outputs_2).mean())

    def compute_wrong_shape(self, outputs_1: Tensor, outputs_2: Tensor) -> Tensor:
        return outputs_1


def test_outputs_are_log_probability_rows_of_each_model() -> None:
    given = rows()
    metrics = Mine()
    found = metrics.of_rows(given)
    assert torch.equal(found["kl"], kl(given.log_probs_1, given.log_probs_2))
    # one number at a time: a row's value does not depend on the others
    assert torch.allclose(found["mean_tv"], total_variation(given.log_probs_1, given.log_probs_2))
    assert set(found) == {"kl", "mean_tv"}
    assert "expected one value per row" in metrics.unavailable["wrong_shape"]
    assert "wrong_shape" not in metrics.of_rows(given)


def test_beside_keeps_the_subclass_and_starts_anew() -> None:
    class Zero:
        level = "token"

        def __call__(self, given: Any) -> Tensor:
            return torch.zeros(len(given.targets))

    mine = Mine()
    mine.of_rows(rows())
    both = mine.beside({"zero": Zero()})
    assert type(both) is Mine and not both.unavailable
    assert set(both.of_rows(rows())) == {"zero", "kl", "mean_tv"}
    assert not mine.metrics


def test_no_metrics_is_no_metric() -> None:
    assert DivergenceMetrics().of_rows(rows()) == {}
    assert DivergenceMetrics().of_pairs([]) == {}


@pytest.mark.parametrize("count", [1, 5])
def test_a_zero_dimensional_tensor_is_one_number_too(count: int) -> None:
    class Scalar(DivergenceMetrics):
        def compute_scalar(self, outputs_1: Tensor, outputs_2: Tensor) -> Tensor:
            return total_variation(outputs_1, outputs_2).mean()

    given = rows(count)
    expected = total_variation(given.log_probs_1, given.log_probs_2)
    assert torch.allclose(Scalar().of_rows(given)["scalar"], expected)
