"""How far log-probabilities and gradients may be from the model's own, by its number format."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor


@attrs.frozen(kw_only=True)
class Tolerance:
    """Bounds of a self-check."""

    numbers: str
    """``fp32``, ``16 bits`` or ``8 bits``: what is multiplied, not what is stored"""
    nats: float
    """of log-probabilities"""
    gradient: float
    """relative, of a derivative along a direction"""
    noise: float
    """nats: rounding of the answer's mean log-probability"""
    change: float
    """nats by which finite differences change it"""
    most: float
    """nats: what :meth:`beside` may raise ``nats`` to"""

    @classmethod
    def of(cls, model: Any) -> Tolerance:
        """For a loaded model."""
        if any(hasattr(getattr(m, "weight", None), "SCB") for m in model.modules()):
            return EIGHT_BITS
        floats = {p.dtype for p in model.parameters() if p.is_floating_point()}
        floats |= {m.compute_dtype for m in model.modules() if hasattr(m, "quant_state")}
        sixteen = floats & {torch.bfloat16, torch.float16}
        return SIXTEEN_BITS if sixteen else SINGLE

    def beside(self, own_noise: float) -> Tolerance:
        """Four times the nats by which rounding alone moves the model's own numbers, at least; or
        twice those by which it moves them where every input is rounded otherwise.

        Thirty layers in bf16 move them by more than two layers do, and tuned ones by more than
        their base: Gemma 3 270M with a small adapter decodes .19 nats away from itself in bf16,
        and 1e-4 in fp32.
        """
        return attrs.evolve(self, nats=min(max(self.nats, 4 * own_noise), self.most))

    def within(self, spread: float) -> Tolerance:
        """No more than a thousandth of what the context changes: a model that says nearly the
        same everywhere is near to its own answers by any path.

        Args:
            spread: nats, largest difference of log-probabilities between contexts.
        """
        return attrs.evolve(self, nats=min(self.nats, max(1e-3 * spread, LEAST)))

    def distance(self, found: Tensor, own: Tensor) -> float:
        """Nats between ``[N, V]`` log-probabilities.

        In fp32 the largest of all. Otherwise the largest row's mean of the differences under
        the model's own probabilities: rounding moves a token that is never said by whole nats.
        """
        far = (found - own).nan_to_num(nan=float("inf"), posinf=float("inf")).abs()
        far = torch.where(found == own, torch.zeros_like(far), far)  # both minus infinity
        if self.numbers != SINGLE.numbers:
            far = (far * own.exp()).sum(dim=-1)
        return float(far.max())


LEAST = 2e-5
"""Nats: fp32's rounding of log-probabilities, some times over."""
SINGLE = Tolerance(numbers="fp32", nats=5e-3, most=5e-3, gradient=5e-2, noise=2e-6, change=2e-3)
SIXTEEN_BITS = Tolerance(
    numbers="16 bits", nats=0.15, most=0.3, gradient=0.4, noise=2e-2, change=0.3
)
EIGHT_BITS = Tolerance(numbers="8 bits", nats=0.2, most=0.4, gradient=0.5, noise=5e-2, change=0.3)
