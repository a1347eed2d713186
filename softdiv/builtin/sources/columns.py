"""Sources that are tables: one user text per row, in a named column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data.lines import BadLines, OnBadLines, read_text
from softdiv.data.records import Columns
from softdiv.errors import DataError, did_you_mean


@attrs.frozen(kw_only=True)
class TableTexts(BaseDataProcessor):
    """What every table has."""

    text_column: str = "text"
    """Column of the user text."""
    category_column: str = "category"
    """Column of the category (optional in the table)."""
    id_column: str = "id"
    """Column of the id (optional in the table; a hash of the text otherwise)."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the table and lists them; skip leaves them out and notes how many and where."""

    def examples(
        self,
        rows: Iterable[tuple[str, Mapping[str, Any]]],
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
        known = list(known)
        if self.text_column not in known:
            raise DataError(
                f"{where} has no column '{self.text_column}'",
                fix=did_you_mean(self.text_column, known),
            )
        columns = Columns(self.text_column, self.category_column, self.id_column)
        for place, row in rows:
            yield from columns.examples(row, place, bad)
        bad.settle()


@attrs.frozen(kw_only=True)
class CsvTexts(TableTexts):
    """A CSV file with a header line."""

    delimiter: str = ","
    """Between the fields."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: no such column, or ``file:line`` of every row that cannot be used."""
        if len(self.delimiter) != 1:
            raise DataError(f"csv delimiter {self.delimiter!r} is not one character")
        content = io.StringIO(read_text(data_path), newline="")
        # strict: a quote that is never closed would silently swallow the rows after it
        reader = csv.DictReader(content, delimiter=self.delimiter, strict=True)
        names = list(reader.fieldnames or ())
        bad = BadLines(self.on_bad_lines, self.notes)

        def rows() -> Iterator[tuple[str, Mapping[str, Any]]]:
            line = reader.line_num + 1
            try:
                for record in reader:
                    where, line = f"{data_path}:{line}", reader.line_num + 1
                    if None in record:
                        bad.add(where, f"more fields than the header's {len(names)}")
                    elif None in record.values():
                        bad.add(where, f"fewer fields than the header's {len(names)}")
                    else:
                        yield where, record
            except csv.Error as error:
                raise DataError(f"{data_path}:{line}: not CSV: {error}") from error

        return self.examples(rows(), names, data_path, bad)


@attrs.frozen(kw_only=True)
class ParquetTexts(TableTexts):
    """A Parquet file (needs the extra ``data``)."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: unreadable, no such column, or ``file:row`` of every bad row."""
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise DataError("reading Parquet needs pyarrow", fix=_EXTRA) from error
        try:
            file = parquet.ParquetFile(data_path)
        except FileNotFoundError as error:
            raise DataError(f"data file {data_path} does not exist") from error
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{data_path} is not a Parquet file", why=str(error)) from error
        with file:
            names = file.schema_arrow.names
            wanted = {self.text_column, self.category_column, self.id_column}
            batches = file.iter_batches(columns=[name for name in names if name in wanted])
            records = (record for batch in batches for record in batch.to_pylist())
            rows = ((f"{data_path}:{row}", record) for row, record in enumerate(records, start=1))
            bad = BadLines(self.on_bad_lines, self.notes)
            yield from self.examples(rows, names, data_path, bad)


@attrs.frozen(kw_only=True)
class HubTexts(TableTexts):
    """A dataset of the Hugging Face hub, or a local dataset folder (needs the extra ``data``).

    ``data_path`` is its id or folder. Datasets that need a script of their own are not run.
    """

    subset: str | None = None
    """Configuration of the dataset, where it has several."""
    split: str = "train"
    """Split to read."""
    revision: str | None = None
    """Commit of the dataset; pin it for a run that can be repeated."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: cannot be loaded, no such column, or every row that is bad."""
        try:
            import datasets
        except ImportError as error:
            raise DataError("reading datasets of the hub needs datasets", fix=_EXTRA) from error
        name = f"dataset '{data_path}'"
        try:
            found = datasets.load_dataset(
                data_path,
                self.subset,
                split=self.split,
                revision=self.revision,
                trust_remote_code=False,
            )
        except (OSError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())
            raise DataError(f"{name} cannot be loaded", why=why) from error
        place = f"{data_path}[{self.split}]"
        rows = ((f"{place}:{row}", record) for row, record in enumerate(found, start=1))
        bad = BadLines(self.on_bad_lines, self.notes)
        return self.examples(rows, found.column_names, name, bad)


_EXTRA = "pip install 'softdiv[data]'"
