"""Checks of losses: what a token metric promises, and a gradient that is right."""

from __future__ import annotations

import attrs

from softdiv.plugin.records import Rows
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, Subject, checks_in, require
from softdiv.testing.rows import OF_ROWS, rows, values_of

DIRECTIONS, STEP = 6, 1e-6


def check_gradient(subject: Subject) -> None:
    """The gradient is that of central finite differences, in float64, in random directions.

    Reached through log_softmax, as in training. A loss that detaches its input, or computes in
    less than the precision it is given, fails.
    """
    import torch

    component = subject.make()
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(2, 6, 12, generator=generator, dtype=torch.float64)

    def total(at: torch.Tensor) -> torch.Tensor:
        log_probs_1, log_probs_2 = at.log_softmax(-1)
        source = attrs.evolve(_shape(6), log_probs_1=log_probs_1, log_probs_2=log_probs_2)
        return values_of(component, source).sum()

    at = logits.clone().requires_grad_()
    value = total(at)
    require(value.requires_grad, "its value is cut off from its input: no gradient, no training")
    (gradient,) = torch.autograd.grad(value, at)
    for _ in range(DIRECTIONS):
        direction = torch.randn(logits.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            ahead, behind = total(logits + STEP * direction), total(logits - STEP * direction)
        wanted = float((ahead - behind) / (2 * STEP))
        got = float((gradient * direction).sum())
        require(
            abs(got - wanted) <= 1e-5 + 1e-4 * abs(wanted),
            f"its gradient is {got:.6g} where finite differences give {wanted:.6g}",
        )


def check_gradient_of_certain_rows(subject: Subject) -> None:
    """Where probabilities underflow to 0, value and gradient stay finite."""
    import torch

    source = rows(6, scale=150.0)
    log_probs = [x.clone().requires_grad_() for x in (source.log_probs_1, source.log_probs_2)]
    certain = attrs.evolve(source, log_probs_1=log_probs[0], log_probs_2=log_probs[1])
    values = values_of(subject.make(), certain)
    require(bool(torch.isfinite(values).all()), "NaN or infinity where a probability underflows")
    if not values.requires_grad:
        return  # check_gradient says so
    gradients = torch.autograd.grad(values.sum(), log_probs, allow_unused=True)
    finite = all(g is None or bool(torch.isfinite(g).all()) for g in gradients)
    require(
        finite,
        "its gradient is NaN or infinite where a probability underflows: compute with "
        "log-probabilities, do not take the logarithm of a probability",
    )


def _shape(count: int) -> Rows:
    source = rows(count)
    return attrs.evolve(source, targets=source.targets % 12)


KIT = Kit(
    kind="losses",
    inputs=rows,
    call=values_of,
    checks=(*EVERY_KIND, *OF_ROWS, *checks_in(globals())),
)
