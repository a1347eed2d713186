"""Chunks change memory, not numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from softdiv.divergence import kernels
from softdiv.divergence.chunked import row_gradients, row_values
from softdiv.pair.manager import ModelPair
from softdiv.plugin.records import Rows

COUNT = 37


def loss(rows: Rows) -> Tensor:
    weight = 1 + rows.example_index.float() + rows.targets.float() / 512
    return weight * kernels.jsd(rows.log_probs_1, rows.log_probs_2)


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, COUNT, 32, generator=generator)
    targets = torch.randint(0, 512, (COUNT,), generator=generator)
    return states[0], states[1], targets, torch.arange(COUNT) // 5


@pytest.mark.parametrize("chunk", [1, 8, 37, 64])
def test_chunked_equals_unchunked(make_pair: Callable[..., ModelPair], chunk: int) -> None:
    pair = make_pair()
    first, second, targets, owners = inputs()
    plain = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    parts = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    wanted = loss(
        Rows(
            log_probs_1=pair.model_1.log_probs(plain[0]),
            log_probs_2=pair.model_2.log_probs(plain[1]),
            targets=targets,
            example_index=owners,
        )
    )
    got = row_values(loss, pair.model_1, pair.model_2, *parts, targets, owners, chunk=chunk)
    assert torch.allclose(got, wanted, atol=1e-6)
    wanted.mean().backward()
    got.mean().backward()
    for a, b in zip(parts, plain, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert a.grad.abs().sum() > 0
        assert torch.allclose(a.grad, b.grad, atol=1e-7)


def test_no_more_than_a_chunk_of_logits_exists_at_once(
    make_pair: Callable[..., ModelPair],
) -> None:
    pair = make_pair()
    first, second, targets, owners = inputs()
    seen: list[int] = []

    def watch(rows: Rows) -> Tensor:
        seen.append(len(rows.targets))
        return loss(rows)

    kept: list[int] = []
    states = first.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.shape[-1] if t.dim() > 1 else 0) or t, lambda t: t
    ):
        row_values(watch, pair.model_1, pair.model_2, states, second, targets, owners, chunk=10)
    assert seen == [10, 10, 10, 7]
    assert 512 not in kept, "logits were kept for the backward pass"


def test_without_gradients(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    first, second, targets, owners = inputs()
    with torch.no_grad():
        values = row_values(
            loss, pair.model_1, pair.model_2, first, second, targets, owners, chunk=8
        )
    assert values.shape == (COUNT,)
    assert not values.requires_grad


@pytest.mark.parametrize("chunk", [1, 8, 64])
def test_gradients_taken_at_once_are_those_of_the_backward_pass(
    make_pair: Callable[..., ModelPair], chunk: int
) -> None:
    pair = make_pair()
    first, second, targets, owners = inputs()
    states = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    models = (pair.model_1, pair.model_2)
    values = row_values(loss, *models, *states, targets, owners, chunk=chunk)
    wanted = torch.autograd.grad(values.sum() * -0.25, states)
    with torch.no_grad():
        got = row_gradients(loss, *models, first, second, targets, owners, -0.25, chunk=chunk)
    assert torch.equal(got[0], values.detach()) and not got[0].requires_grad
    for found, slope in zip(got[1:], wanted, strict=True):
        assert found is not None and torch.equal(found, slope)


def test_each_row_is_looked_at_once(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    first, second, targets, owners = inputs()
    seen: list[int] = []

    def watch(rows: Rows) -> Tensor:
        seen.append(len(rows.targets))
        return loss(rows)

    args = (pair.model_1, pair.model_2, first, second, targets, owners)
    row_gradients(watch, *args, 1.0, chunk=10)
    assert seen == [10, 10, 10, 7]
    values, *slopes = row_gradients(lambda rows: rows.targets.float(), *args, 1.0)
    assert len(values) == COUNT and slopes == [None, None]
