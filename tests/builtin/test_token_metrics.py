"""Every token metric by its name, against float64 values written from the definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv import PluginManager, Rows
from softdiv.builtin.token_metrics import EntropyGap, Top1Disagreement

VOCABULARY = 40
Definition = Callable[[Tensor, Tensor, Tensor], Tensor]


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(-1)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum(-1)


def jsd(p: Tensor, q: Tensor) -> Tensor:
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2 / math.log(2)


def picked(p: Tensor, t: Tensor) -> Tensor:
    return p.gather(-1, t[:, None])[:, 0]


# p is model_1, q is model_2, t the sampled tokens
DEFINITIONS: dict[str, Definition] = {
    "jsd": lambda p, q, t: jsd(p, q),
    "kl_1_2": lambda p, q, t: kl(p, q),
    "kl_2_1": lambda p, q, t: kl(q, p),
    "symmetric_kl": lambda p, q, t: (kl(p, q) + kl(q, p)) / 2,
    "total_variation": lambda p, q, t: (p - q).abs().sum(-1) / 2,
    "log_likelihood_ratio": lambda p, q, t: (picked(q, t) / picked(p, t)).log(),
    "entropy_gap": lambda p, q, t: entropy(q) - entropy(p),
}


def rows(first: Tensor, second: Tensor, targets: Tensor | None = None) -> Rows:
    index = torch.arange(len(first))
    return Rows(
        log_probs_1=first.float().log_softmax(-1),
        log_probs_2=second.float().log_softmax(-1),
        targets=index if targets is None else targets,
        example_index=index,
    )


def logits(scale: float, count: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, count, VOCABULARY, generator=generator, dtype=torch.float64)
    return scale * first, scale * second


def metric(name: str, **options: Any) -> Any:
    return PluginManager.load().registry.build("metrics", name, options)


@pytest.mark.parametrize("scale", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_values_are_those_of_the_definition(name: str, scale: float) -> None:
    first, second = logits(scale)
    targets = torch.arange(8) * 3
    wanted = DEFINITIONS[name](first.softmax(-1), second.softmax(-1), targets)
    got = metric(name)(rows(first, second, targets))
    assert got.shape == (8,)
    assert torch.allclose(got.double(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*DEFINITIONS, "top1_disagreement"])
def test_equal_models_differ_by_exactly_nothing(name: str) -> None:
    first, _ = logits(3.0)
    assert metric(name)(rows(first, first)).tolist() == [0.0] * 8


def test_entropy_gap_is_positive_where_model_2_is_less_certain() -> None:
    certain = torch.tensor([[50.0] + [0.0] * (VOCABULARY - 1)])
    uniform = torch.zeros(1, VOCABULARY)
    gap = EntropyGap()(rows(certain, uniform))
    assert gap.tolist() == pytest.approx([math.log(VOCABULARY)])
    assert EntropyGap()(rows(uniform, certain)).tolist() == pytest.approx([-math.log(VOCABULARY)])


def test_entropy_gap_survives_impossible_tokens() -> None:
    first = torch.tensor([[0.0, 0.0, -math.inf]])
    gap = EntropyGap()(rows(first, torch.zeros(1, 3)))
    assert gap.tolist() == pytest.approx([math.log(3) - math.log(2)])


def test_a_near_tie_is_no_disagreement_within_the_margin() -> None:
    first = torch.tensor([[1.0, 0.95, 0.0], [2.0, 0.0, 0.0]])
    second = torch.tensor([[0.95, 1.0, 0.0], [0.0, 2.0, 0.0]])
    assert Top1Disagreement(margin=0.0)(rows(first, second)).tolist() == [1.0, 1.0]
    assert Top1Disagreement()(rows(first, second)).tolist() == [0.0, 1.0]
    assert Top1Disagreement(margin=3.0)(rows(first, second)).tolist() == [0.0, 0.0]
