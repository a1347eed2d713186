"""Nothing trains silently: steps without effect and numbers that are none end the training."""

from __future__ import annotations

import attrs

from softdiv.errors import TrainingError
from softdiv.training.state import FieldState

DEAD_STEPS = 10
"""Steps in a row without a gradient, or without a change of the prompt, before training stops."""


@attrs.define(eq=False)
class Guards(FieldState):
    """Counters of steps in a row."""

    zero_gradients: int = attrs.field(init=False, default=0)
    unmoved: int = attrs.field(init=False, default=0)
    skipped_in_a_row: int = attrs.field(init=False, default=0)
    skipped: int = attrs.field(init=False, default=0)
    """All steps whose loss or gradient was not finite; the optimizer saw none of them."""

    @property
    def stop_reason(self) -> str | None:
        """Why to stop; None goes on."""
        if self.zero_gradients >= DEAD_STEPS:
            return f"no gradient for {DEAD_STEPS} steps: the models do not differ here"
        if self.unmoved >= DEAD_STEPS:
            return (
                f"the prompt has not moved for {DEAD_STEPS} steps: its gradient or "
                "training.learning_rate is too small for fp32"
            )
        return None

    def finite(self, grad_norm: float, moved: bool) -> None:
        """Note a step that was taken."""
        self.skipped_in_a_row = 0
        self.zero_gradients = self.zero_gradients + 1 if grad_norm == 0.0 else 0
        self.unmoved = 0 if moved else self.unmoved + 1

    def not_finite(self, step: int, what: str, limit: int, explained: bool) -> None:
        """Note a skipped step.

        Args:
            what: ``"loss"`` or ``"gradient"``.
            explained: the loss scale was too large and has been halved; that is no failure.

        Raises:
            TrainingError: ``limit`` steps in a row.
        """
        self.skipped += 1
        if explained:
            return
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= limit:
            raise TrainingError(
                f"the {what} is not finite at step {step}",
                why=f"nor in the {limit - 1} steps before; none of them reached the optimizer"
                if limit > 1
                else "",
                fix="lower training.learning_rate, or load the models in float32",
            )
