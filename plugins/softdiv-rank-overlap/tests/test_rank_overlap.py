"""The metric's values by hand, and the way from entry point to component."""

from __future__ import annotations

import pytest
import torch
from softdiv_rank_overlap import RankOverlap

from softdiv import ConfigError, PluginManager, Rows
from softdiv.testing import TokenMetricTests


def rows(logits_1: torch.Tensor, logits_2: torch.Tensor) -> Rows:
    index = torch.arange(len(logits_1))
    return Rows(
        log_probs_1=logits_1.log_softmax(-1),
        log_probs_2=logits_2.log_softmax(-1),
        targets=index,
        example_index=index,
    )


def test_counts_candidates_not_shared() -> None:
    first = torch.tensor([[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    second = torch.tensor([[3.0, 4.0, 1.0, 2.0], [4.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    assert RankOverlap(k=2)(rows(first, second)).tolist() == [0.0, 0.5, 1.0]


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 7, 50, generator=generator)
    together = RankOverlap()(rows(first, second))
    alone = torch.cat(
        [RankOverlap()(rows(a[None], b[None])) for a, b in zip(first, second, strict=True)]
    )
    assert torch.equal(together, alone)
    assert together.min() >= 0
    assert together.max() <= 1


def test_sharpening_alone_scores_zero() -> None:
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    assert RankOverlap()(rows(logits, 3 * logits)).tolist() == [0.0] * 5


def test_k_beyond_the_vocabulary_is_the_vocabulary() -> None:
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(2))
    assert RankOverlap(k=99)(rows(logits, -logits)).tolist() == [0.0, 0.0]


def test_a_broken_row_is_no_result() -> None:
    logits = torch.randn(2, 6, generator=torch.Generator().manual_seed(3))
    broken = logits.clone()
    broken[1, 0] = float("nan")
    for both in ((logits, broken), (broken, logits)):
        values = RankOverlap(k=2)(rows(*both))
        assert values[0] == 0
        assert values[1].isnan()


def test_declared_it_is_built_with_its_options() -> None:
    manager = PluginManager.load(["rank-overlap"])
    metric = manager.registry.build("metrics", "rank_overlap", {"k": 3})
    assert metric == RankOverlap(k=3)
    assert manager.loaded == ["'rank-overlap' (softdiv-rank-overlap 0.1.0)"]
    with pytest.raises(ConfigError, match="did you mean 'k'|known: k"):
        manager.registry.build("metrics", "rank_overlap", {"kk": 3})


def test_undeclared_it_is_not_there() -> None:
    assert "rank_overlap" not in [e.name for e in PluginManager.load().registry.entries("metrics")]


class TestConformance(TokenMetricTests):
    def make(self) -> object:
        return RankOverlap()
