"""One sentence for every failure of foreign code: which plugin, where, what."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from softdiv.plain_text import said

if TYPE_CHECKING:
    from softdiv.plugin.registry import Registry

logger = logging.getLogger("softdiv.plugin")

FOREIGN: tuple[type[BaseException], ...] = (Exception, SystemExit)
"""What a call into a plugin may end in and the run survives. Stopping by hand is not in it."""

Write = Callable[[str, str], None]
"""Receives (one-line attribution, full traceback)."""


def _nowhere(line: str, details: str) -> None:
    """Default for :attr:`Failures.write`."""


@attrs.define(eq=False)
class Failures:
    """Attributes failures to plugins and writes them down."""

    registry: Registry | None = None
    """Knows which plugin a component came from."""
    write: Write = _nowhere

    def who(self, component: object) -> str | None:
        """``plugin 'x' (softdiv-x 1.2)``, None for what no plugin registered."""
        entry = self.registry.origin(component) if self.registry is not None else None
        return f"plugin {entry.plugin}" if entry is not None else None

    def add(
        self, component: object, where: str, error: BaseException, who: str | None = None
    ) -> str:
        """Write a failure down.

        Args:
            where: what was called, e.g. ``metric 'rank_overlap'``.
            who: what to call the component instead of its plugin.

        Returns:
            ``plugin 'x' (softdiv-x 1.2) failed in metric 'm': ValueError: ...``
        """
        who = who or self.who(component)
        line = f"{f'{who} failed in {where}' if who else f'{where} failed'}: {reason(error)}"
        self.note(line, "".join(traceback.format_exception(error)))
        return line

    def note(self, line: str, details: str = "") -> None:
        """Write a line down, and log it: the last hooks are called when the report is written."""
        logger.warning("%s", line)
        self.write(line, details)


def reason(error: BaseException) -> str:
    """``ValueError: what it says``, on one line that no terminal can be moved by."""
    text = said(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
