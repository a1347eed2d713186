"""Compute is counted where it is spent, in forward-token equivalents (FTE).

One FTE is one position forwarded through one model; a backward pass costs two per
position, three where it computes the forward pass again. Soft tokens, generated tokens and
padding count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs


@attrs.define(eq=False)
class Ledger:
    """FTE by phase of the run. Only :class:`softdiv.pair.wrapper.ModelWrapper` charges it."""

    by_phase: dict[str, int] = attrs.field(factory=dict)
    _phases: list[str] = attrs.field(init=False, factory=lambda: ["other"])
    _closed: bool = attrs.field(init=False, default=False)

    def charge(
        self, positions: int, *, with_backward: bool = False, recomputed: bool = False
    ) -> None:
        """Add a forward pass over ``positions`` (and its backward pass, if one will follow)."""
        if self._closed:
            return
        phase = self._phases[-1]
        cost = positions * (1 + with_backward * (2 + recomputed))
        self.by_phase[phase] = self.by_phase.get(phase, 0) + cost

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge what happens inside to ``name``; phases nest, the innermost pays."""
        self._phases.append(name)
        try:
            yield
        finally:
            self._phases.pop()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Charge nothing for what happens inside: who shares or halves a batch charges it whole."""
        before, self._closed = self._closed, True
        try:
            yield
        finally:
            self._closed = before

    @property
    def total(self) -> int:
        """FTE spent so far, all phases."""
        return sum(self.by_phase.values())
