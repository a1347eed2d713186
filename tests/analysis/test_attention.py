from __future__ import annotations

import numpy as np
import pytest
import torch

from softdiv.analysis.attention import attention_pattern, mean_pattern
from softdiv.errors import PairError


def layers(seed: int, count: int = 2, size: int = 5) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(1, 3, size, size).softmax(dim=-1) for _ in range(count)]


def test_shares_are_means_over_heads_and_queries() -> None:
    one, two = layers(0), layers(1)
    pattern = attention_pattern(one, two, queries=slice(2, 5), keys=slice(1, 3))
    expected = one[1][0, :, 2:5, 1].mean()
    assert pattern.model_1[1, 0] == pytest.approx(float(expected))
    assert pattern.difference == pytest.approx(pattern.model_2 - pattern.model_1)
    assert attention_pattern(one, two).model_1.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_heatmaps_are_in_percent_and_the_models_share_a_scale() -> None:
    pattern = attention_pattern(layers(0), layers(1), tokens=list("abcde"))
    first, second, gap = pattern.heatmaps()
    assert (
        first.largest
        == second.largest
        == pytest.approx(100 * max(pattern.model_1.max(), pattern.model_2.max()))
    )
    assert gap.diverging and gap.values[0][0] == pytest.approx(100 * pattern.difference[0, 0])
    assert list(first.x) == list("abcde") and list(first.y) == ["1", "2"]


def test_mean_of_patterns() -> None:
    patterns = [attention_pattern(layers(n), layers(n + 9)) for n in (0, 1)]
    mean = mean_pattern(patterns)
    assert np.allclose(mean.model_2, (patterns[0].model_2 + patterns[1].model_2) / 2)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(PairError, match="eager"):
        attention_pattern([], layers(0))
    with pytest.raises(PairError, match="compared"):
        attention_pattern(layers(0), layers(0, count=3))
