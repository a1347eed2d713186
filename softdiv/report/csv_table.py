"""A table as CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from typing import Any

from softdiv.plain_text import encodable, strip_hidden
from softdiv.plugin.records import Table

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""the full-width forms too: some spreadsheets read them alike (OWASP, CSV injection)"""


def to_csv(table: Table) -> str:
    """RFC 4180; numbers as they are, a text that a spreadsheet could run led by an apostrophe."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow([_cell(name) for name in table.columns])
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    return target.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = encodable(strip_hidden(str(value)))
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_FORMULA) else text
