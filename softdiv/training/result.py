"""What a training found, in memory and in its file."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from torch import Tensor


@attrs.frozen(kw_only=True)
class TrainingFacts:
    """What ``training.json`` holds: all but the prompt."""

    best_bits: float | None
    """Validation divergence of the best prompt; None where nothing was trained."""
    steps: int
    stop_reason: str
    engine: str
    notes: Sequence[str] = ()
    """What a reader should know, e.g. that the run ran out of memory or changed machines."""


@attrs.frozen(kw_only=True, eq=False)
class TrainingResult(TrainingFacts):
    """What training found."""

    prompt: Tensor
    """``[k, H]`` fp32 on the CPU, the best by validation."""
