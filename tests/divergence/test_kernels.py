"""Divergences and their gradients against float64 references written from the definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from softdiv.divergence import kernels

Kernel = Callable[[Tensor, Tensor], Tensor]


def reference_kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(-1)


def reference_jsd(p: Tensor, q: Tensor) -> Tensor:
    middle = (p + q) / 2
    return (reference_kl(p, middle) + reference_kl(q, middle)) / 2 / math.log(2)


def reference_tv(p: Tensor, q: Tensor) -> Tensor:
    return (p - q).abs().sum(-1) / 2


PAIRS: list[tuple[Kernel, Kernel]] = [
    (kernels.jsd, reference_jsd),
    (kernels.kl, reference_kl),
    (kernels.symmetric_kl, lambda p, q: (reference_kl(p, q) + reference_kl(q, p)) / 2),
    (kernels.total_variation, reference_tv),
]
every_kernel = pytest.mark.parametrize("kernel", [kernel for kernel, _ in PAIRS])


def logits(scale: float, rows: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    first, second = torch.randn(
        2, rows, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return scale * first, scale * second


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
@pytest.mark.parametrize(("kernel", "reference"), PAIRS)
def test_values_and_gradients(kernel: Kernel, reference: Kernel, scale: float) -> None:
    first, second = logits(scale)
    exact = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    single = [first.float().requires_grad_(), second.float().requires_grad_()]
    wanted = reference(*(x.softmax(-1) for x in exact))
    got = kernel(*(x.log_softmax(-1) for x in single))
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), wanted, rtol=1e-5, atol=1e-6)
    wanted.sum().backward()
    got.sum().backward()
    for a, b in zip(single, exact, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        error = (a.grad.double() - b.grad).abs().max()
        assert error <= 1e-5 * b.grad.abs().max().clamp(min=0.1)


@every_kernel
def test_gradients_are_those_of_finite_differences(kernel: Kernel) -> None:
    first, second = logits(1.0, rows=2)
    assert torch.autograd.gradcheck(
        lambda a, b: kernel(a.log_softmax(-1), b.log_softmax(-1)),
        (first.requires_grad_(), second.requires_grad_()),
    )


@pytest.mark.parametrize("kernel", [kernels.jsd, kernels.symmetric_kl, kernels.total_variation])
def test_symmetric(kernel: Kernel) -> None:
    first, second = (x.float().log_softmax(-1) for x in logits(2.0))
    assert torch.allclose(kernel(first, second), kernel(second, first), atol=1e-6)


def test_kl_is_not_symmetric() -> None:
    first, second = (x.float().log_softmax(-1) for x in logits(2.0))
    assert not torch.allclose(kernels.kl(first, second), kernels.kl(second, first), rtol=0.01)


@every_kernel
def test_identity_is_exactly_zero(kernel: Kernel) -> None:
    log_p = logits(3.0)[0].float().log_softmax(-1)
    assert kernel(log_p, log_p.clone()).tolist() == [0.0] * 6


@pytest.mark.parametrize("kernel", [kernels.jsd, kernels.total_variation])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 300.0])
def test_bounded(kernel: Kernel, scale: float) -> None:
    values = kernel(*(x.float().log_softmax(-1) for x in logits(scale, rows=200)))
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-5


@every_kernel
def test_near_identity_is_never_negative(kernel: Kernel) -> None:
    first, _ = logits(2.0, rows=500)
    log_p = first.float().log_softmax(-1)
    log_q = (first + 1e-7 * torch.randn_like(first)).float().log_softmax(-1)
    assert kernel(log_p, log_q).min() >= 0


@every_kernel
def test_underflow_gives_finite_values_and_gradients(kernel: Kernel) -> None:
    first = torch.tensor([[0.0, -300.0, -1.0], [500.0, 0.0, -500.0]], requires_grad=True)
    second = torch.tensor([[-300.0, 0.0, -1.0], [-500.0, 0.0, 500.0]], requires_grad=True)
    values = kernel(first.log_softmax(-1), second.log_softmax(-1))
    values.sum().backward()
    for tensor in (values, first.grad, second.grad):
        assert tensor is not None
        assert bool(torch.isfinite(tensor).all())


def test_disjoint_distributions_are_one_bit_apart() -> None:
    log_p = torch.tensor([[0.0, -math.inf]])
    log_q = torch.tensor([[-math.inf, 0.0]])
    assert kernels.jsd(log_p, log_q).tolist() == [1.0]
    assert kernels.total_variation(log_p, log_q).tolist() == [1.0]
    assert kernels.kl(log_p, log_q).tolist() == [math.inf]


@pytest.mark.parametrize("kernel", [kernels.jsd, kernels.kl])
def test_tokens_impossible_in_both_drop_out(kernel: Kernel) -> None:
    first, second = (x.float() for x in logits(1.0))
    padding = torch.full((6, 3), -math.inf)
    plain = kernel(first.log_softmax(-1), second.log_softmax(-1))
    padded = kernel(
        torch.cat([first, padding], 1).log_softmax(-1),
        torch.cat([second, padding], 1).log_softmax(-1),
    )
    assert torch.allclose(plain, padded, atol=1e-6)


@every_kernel
@pytest.mark.parametrize("both", [True, False])
def test_impossible_tokens_give_finite_gradients(kernel: Kernel, both: bool) -> None:
    first, second = (x.float() for x in logits(1.0))
    first[:, 40:] = -math.inf
    if both or kernel is kernels.symmetric_kl:  # else infinite: what one model never says
        second[:, 40:] = -math.inf
    first.requires_grad_()
    second.requires_grad_()
    kernel(first.log_softmax(-1), second.log_softmax(-1)).sum().backward()
    for tensor in (first, second):
        assert tensor.grad is not None
        assert bool(torch.isfinite(tensor.grad).all())
        assert bool(tensor.grad[:, :40].any())
    assert first.grad is not None
    assert not bool(first.grad[:, 40:].any())


@pytest.mark.parametrize("kernel", [*(kernel for kernel, _ in PAIRS), kernels.top1_disagreement])
@pytest.mark.parametrize("broken", [0, 1])
def test_nan_is_passed_on(kernel: Kernel, broken: int) -> None:
    both = [x.float().log_softmax(-1) for x in logits(1.0)]
    both[broken][2] = math.nan
    assert kernel(*both).isnan().tolist() == [False, False, True, False, False, False]


def test_top1_disagreement_ignores_near_ties() -> None:
    log_p = torch.tensor([[0.5, 0.4, 0.1], [0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]).log()
    log_q = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1], [0.7, 0.1, 0.2]]).log()
    assert kernels.top1_disagreement(log_p, log_q).tolist() == [1.0, 1.0, 0.0]
    assert kernels.top1_disagreement(log_p, log_q, margin=0.5).tolist() == [0.0, 1.0, 0.0]


def test_log_likelihood_ratio_favours_model_2_when_positive() -> None:
    log_p, log_q = torch.tensor([[0.8, 0.2]]).log(), torch.tensor([[0.4, 0.6]]).log()
    ratio = kernels.log_likelihood_ratio(log_p, log_q, torch.tensor([1]))
    assert ratio.tolist() == pytest.approx([math.log(3)])
