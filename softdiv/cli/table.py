"""Rows for a reader: a table on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from softdiv.cli.terminal import console, say, written
from softdiv.plain_text import one_line


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Every cell on one line, stripped of what a terminal would act on.

    Plain text has no header and no rules, so that ``grep`` and ``cut`` see only rows.
    """
    clean = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, clean)
        return
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    for row in clean:
        padded = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        say("  ".join(padded).rstrip())


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, style="cyan" if number == 0 else None, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text: a name in square brackets is no markup
    with written():
        console().print(table)
