"""Limits on a searcher: what it spends, read off the pair's ledger, and how long it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from softdiv.pair.ledger import Ledger
from softdiv.plugin.records import HardPrompt
from softdiv.plugin.watchdog import SEARCH_TIMEOUT, Overdue, TimeLimit, limit_of

MOST_PROMPTS = 10_000
"""More than can be scored; natural_pool, the longest of ours, has some hundred."""


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


def bounded(prompts: Iterable[HardPrompt], ledger: Ledger) -> Iterator[HardPrompt]:
    """The prompts, as long as there is an end to them.

    Raises:
        RuntimeError: there are more than :data:`MOST_PROMPTS`; or for ``SOFTDIV_SEARCH_TIMEOUT``
            seconds the searcher neither gave one nor ran a model.
    """
    stream, seconds = iter(prompts), limit_of(SEARCH_TIMEOUT)
    for _ in range(MOST_PROMPTS):
        try:
            with TimeLimit(seconds, lambda: ledger.total):
                prompt = next(stream)
        except StopIteration:
            return
        except Overdue as error:
            raise RuntimeError(
                f"neither gave a prompt nor ran a model for {seconds:g} s ({SEARCH_TIMEOUT})"
            ) from error
        yield prompt
    raise RuntimeError(f"gave {MOST_PROMPTS:,} prompts and had more: those after are left out")
