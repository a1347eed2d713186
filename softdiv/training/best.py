"""The best prompt by validation, and when to stop looking for a better one."""

from __future__ import annotations

import math

import attrs
from torch import Tensor

from softdiv.training.state import FieldState


@attrs.define(eq=False)
class BestPrompt(FieldState):
    """What validations have found so far."""

    patience: int | None
    """Validations without a better one, before the training stops; None never stops it."""
    bits: float | None = attrs.field(init=False, default=None)
    """Divergence; None before a validation was finite."""
    prompt: Tensor | None = attrs.field(init=False, default=None)
    """``[k, H]`` fp32 on the CPU."""
    validated_at: int | None = attrs.field(init=False, default=None)
    """Steps finished at the last validation."""
    without_gain: int = attrs.field(init=False, default=0)
    """Validations since the best one."""

    def offer(self, bits: float, prompt: Tensor, steps: int) -> bool:
        """Note a validation after ``steps`` steps; whether it is the best one.

        Args:
            bits: its divergence; one that is not finite is never the best.
            prompt: ``[k, H]``.
        """
        self.validated_at = steps
        better = math.isfinite(bits) and (self.bits is None or bits > self.bits)
        if better:
            self.bits, self.prompt = bits, prompt.cpu()
        self.without_gain = 0 if better else self.without_gain + 1
        return better

    @property
    def stop_reason(self) -> str | None:
        """Why to stop; None goes on."""
        if self.patience is None or self.without_gain < self.patience:
            return None
        return f"no better in {self.without_gain} validations"
