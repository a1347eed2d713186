"""Checks of token metrics."""

from __future__ import annotations

from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, Subject, checks_in, require
from softdiv.testing.rows import OF_ROWS, rows, values_of


def check_level(subject: Subject) -> None:
    """``level = "token"``: a metric without a level is never called."""
    level = getattr(subject.make(), "level", None)
    require(level == "token", f'level is {level!r}: set level: ClassVar[Literal["token"]]')


KIT = Kit(
    kind="metrics",
    inputs=rows,
    call=values_of,
    checks=(*EVERY_KIND, *checks_in(globals()), *OF_ROWS),
)
