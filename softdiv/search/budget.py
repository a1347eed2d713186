"""A limit on what a searcher spends, read off the pair's ledger."""

from __future__ import annotations

import attrs

from softdiv.pair.ledger import Ledger


@attrs.define(eq=False)
class FteBudget:
    """``limit`` forward-token equivalents from now on."""

    ledger: Ledger
    limit: int
    _start: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._start = self.ledger.total

    @property
    def spent(self) -> int:
        """FTE since this budget was opened."""
        return self.ledger.total - self._start

    @property
    def remaining(self) -> int:
        """FTE left; 0 when overspent (a batch is never cut short)."""
        return max(self.limit - self.spent, 0)
