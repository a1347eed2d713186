"""The gradient that reaches a soft prompt, compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from softdiv.pair.layout import Context
from softdiv.pair.teacher_forcing import response_states, targets_of
from softdiv.pair.tolerance import Tolerance
from softdiv.pair.wrapper import ModelWrapper

LARGEST_STEP = 0.1
"""Of the prompt's own norm: further away a derivative says little about a difference."""
NARROWER = (1.0, 0.1)
"""Steps tried, each to both sides and to either one: a mixture of experts jumps where a token
changes its expert, and such an edge is often near on one side."""


def gradient_error(
    wrapper: ModelWrapper,
    context: Context,
    answer: Sequence[int],
    soft: Tensor,
    tolerance: Tolerance,
) -> float | None:
    """Relative error of the derivative along the gradient; along a random direction where that
    shows more than rounding.

    Args:
        soft: ``[k, H]``, where the gradient is taken.

    Returns:
        The best of all steps and sides; infinite where the gradient is not finite, None where it
        is exactly zero.
    """
    targets, _ = targets_of([answer], wrapper.device)

    def mean_log_prob(prompt: Tensor) -> Tensor:
        states = response_states(wrapper, [context], [answer], prompt)
        return wrapper.log_probs(states).gather(-1, targets[:, None]).mean()

    leaf = soft.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = mean_log_prob(leaf)
        gradient = (
            torch.autograd.grad(value, leaf, allow_unused=True)[0] if value.requires_grad else None
        )
    if gradient is None or not bool(gradient.any()):
        return None
    if not bool(gradient.isfinite().all()):
        return float("inf")
    here = float(value.detach())
    typical = float(gradient.norm()) / gradient.numel() ** 0.5  # slope along a random direction
    along_random = torch.randn(soft.shape, generator=torch.Generator().manual_seed(0))
    error = 0.0
    for direction in (gradient, along_random.to(gradient)):
        unit = direction / direction.norm()
        slope = float((gradient * unit).sum())
        steep = max(abs(slope), typical)  # one that is flat by chance needs no wider step
        step = min(tolerance.change / steep, LARGEST_STEP * float(soft.norm()))
        best = float("inf")
        for size in (step * narrower for narrower in NARROWER):
            rounding = tolerance.noise * (1 + abs(here)) / size
            for difference in _differences(mean_log_prob, soft, size * unit, here):
                difference /= size
                relative = abs(difference - slope) / max(abs(difference), steep)
                if abs(difference - slope) <= rounding:
                    relative = min(relative, tolerance.gradient)
                best = min(best, relative)
                if best <= tolerance.gradient:
                    break
            if best <= tolerance.gradient:
                break
        if direction is gradient or best > tolerance.gradient:
            error = max(error, best)
    return error


@torch.no_grad()
def _differences(
    value: Callable[[Tensor], Tensor], at: Tensor, step: Tensor, here: float
) -> Iterator[float]:
    """By how much ``value`` rises over a step: forwards, backwards, and the mean of both. Lazily:
    the first is enough where it agrees."""
    up = float(value(at + step)) - here
    yield up
    down = here - float(value(at - step))
    yield down
    yield (up + down) / 2
