"""What every source that is a table has: one user text or conversation per row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data import formats
from softdiv.data.lines import BadLines, OnBadLines
from softdiv.data.messages import Conversations, Turns
from softdiv.data.records import Columns, Records
from softdiv.errors import DataError, did_you_mean

TableRow = tuple[str, Mapping[str, Any]]
"""(place, values by column)"""


@attrs.frozen(kw_only=True)
class TableTexts(BaseDataProcessor):
    """What every table has."""

    text_column: str = "text"
    """Column of the user text or of lists of messages; where it is missing, usual ones are
    recognised."""
    category_column: str = "category"
    """Column of the category (optional in the table)."""
    id_column: str = "id"
    """Column of the id (optional in the table; a hash of the text otherwise)."""
    turns: Turns = "auto"
    """Which user turns of a conversation are taken, as of the source ``chat``."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the table and lists them; skip leaves them out and notes how many and where."""

    def wanted(self, known: Iterable[str]) -> list[str]:
        """Of the table's columns those that are read: others may be large."""
        usual = () if self.text_column in known else formats.KEYS
        own = {self.text_column, self.category_column, self.id_column, *formats.SYSTEMS, *usual}
        return [name for name in known if name in own]

    def examples(
        self,
        rows: Iterable[TableRow],
        known: Iterable[str],
        where: str,
        bad: BadLines,
    ) -> Iterator[Example]:
        """Examples of (place, row) pairs.

        Args:
            known: the table's columns.
            where: the table, for messages.

        Raises:
            DataError: no such column, or the place of every row that cannot be used.
        """
        known, usual = list(known), self.text_column == "text"
        records = Records(
            columns=Columns(self.text_column, self.category_column, self.id_column),
            option="text_column",
            place=where,
            bad=bad,
            conversations=Conversations(self.turns),
            usual=usual,
        )
        if self.text_column not in known and not (usual and formats.KEYS.intersection(known)):
            raise DataError(f"{where} has no column '{self.text_column}'", fix=self.advice(known))
        for place, row in rows:
            yield from records.examples(row, place)
        records.settle()

    def advice(self, known: Sequence[str]) -> str:
        """What to set, where the column of the text is missing."""
        return f"{did_you_mean(self.text_column, known)}; text_column names it"
