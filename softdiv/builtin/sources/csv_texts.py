"""Source ``csv``: one user text per row of a table in text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from softdiv import Example
from softdiv.builtin.sources.tables import TableRow, TableTexts
from softdiv.data.files import opened
from softdiv.data.json_array import LONGEST
from softdiv.data.lines import BadLines
from softdiv.errors import DataError


@attrs.frozen(kw_only=True)
class CsvTexts(TableTexts):
    """A CSV file with a header line."""

    delimiter: str = ","
    """Between the fields."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: no such column, or ``file:line`` of every row that cannot be used."""
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n\0':
            raise DataError(f"csv delimiter {self.delimiter!r} is not one character")
        with opened(data_path) as stream:
            # bytes that are not UTF-8 become lone surrogates, which spoil their own row only
            text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
            # strict: a quote that is never closed would silently swallow the rows after it
            reader = csv.reader(text, delimiter=self.delimiter, strict=True)
            csv.field_size_limit(LONGEST)  # of the process: a conversation outgrows 128 KB
            lines = _csv_lines(reader, data_path)
            _, names = next(lines, ("", []))
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise DataError(f"{data_path}: two columns are called '{twice[0][:30]}'")
            bad = BadLines(self.on_bad_lines, self.notes)
            yield from self.examples(_csv_rows(lines, names, bad), names, data_path, bad)

    def advice(self, known: Sequence[str]) -> str:
        """As of every table; or the delimiter that a header of one column seems to have."""
        for other in ";\t|":
            if len(known) == 1 and other in known[0]:
                written = {"\t": "\\t"}.get(other, other)
                return f'its header has another sign between the names: delimiter = "{written}"'
        return super().advice(known)


def _csv_lines(reader: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """(``file:line``, fields), empty lines left out. Raises DataError: quotes do not match."""
    line = 1
    try:
        for fields in reader:
            where, line = f"{path}:{line}", reader.line_num + 1
            if fields:
                yield where, fields
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: not CSV: {error}", fix="mend it; rows behind it have no sure beginning"
        ) from error


def _csv_rows(
    lines: Iterator[tuple[str, list[str]]], names: Sequence[str], bad: BadLines
) -> Iterator[TableRow]:
    for where, fields in lines:
        if len(fields) != len(names):
            what = "more" if len(fields) > len(names) else "fewer"
            bad.add(where, f"{what} fields than the header's {len(names)}")
        else:
            yield where, dict(zip(names, fields, strict=True))
