"""Where a step's time goes, and the most memory a process has held."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator

import attrs
import torch

PARTS = ("model_1", "model_2", "divergence", "rollouts", "validation")
"""Forward and backward passes of each model in training; the two heads, the loss and its backward
pass; fresh answers; validation. The rest is the optimizer, files and observers."""


@attrs.define(eq=False)
class Clock:
    """Seconds by part of the current step."""

    device: torch.device
    _seconds: dict[str, float] = attrs.field(init=False, factory=dict)
    _start: float = attrs.field(init=False, factory=lambda: time.perf_counter())

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what happens inside; a GPU is waited for, or its work would be counted later."""
        start = self._now()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + self._now() - start

    def lap(self, tokens: int) -> dict[str, float]:
        """Numbers of the step that ends now: seconds, tokens per second, shares, peak memory.

        Args:
            tokens: response tokens trained on, all ranks.
        """
        seconds = max(self._now() - self._start, 1e-9)
        found = {"seconds": seconds, "tokens_per_s": tokens / seconds}
        found |= {f"share_{name}": self._seconds.get(name, 0.0) / seconds for name in PARTS}
        self._seconds, self._start = {}, time.perf_counter()
        return {**found, "peak_memory_gib": peak_memory_gib(self.device)}

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def peak_memory_gib(device: torch.device) -> float:
    """Most memory held so far: allocated on the GPU, or resident in this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
