"""Dynamic loss scaling: small gradients survive a backward pass in fp16.

Micikevicius et al. (2018), with the constants of ``torch.amp.GradScaler``.
"""

from __future__ import annotations

import attrs

from softdiv.training.state import FieldState

START = 2.0**16
GROW_AFTER = 2000
"""Finite steps in a row before the scale doubles."""


@attrs.define(eq=False)
class LossScale(FieldState):
    """The factor; 1 and fixed unless something computes in fp16."""

    dynamic: bool
    value: float = attrs.field(init=False)
    finite: int = attrs.field(init=False, default=0)
    """Finite steps since the last change."""

    @value.default
    def _start(self) -> float:
        return START if self.dynamic else 1.0

    def after(self, finite: bool) -> bool:
        """Adjust after a step; whether a step that was not finite is explained by the scale."""
        if not self.dynamic:
            return False
        if not finite:
            explained = self.value > 1.0
            self.value, self.finite = max(self.value / 2, 1.0), 0
            return explained
        self.finite += 1
        if self.finite == GROW_AFTER:
            self.value, self.finite = self.value * 2, 0
        return False
