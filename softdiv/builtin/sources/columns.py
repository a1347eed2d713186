"""Sources that are tables: one user text per row, in a named column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data.lines import BadLines, OnBadLines, read_text
from softdiv.data.records import Columns
from softdiv.errors import DataError, did_you_mean


@attrs.frozen(kw_only=True)
class CsvTexts(BaseDataProcessor):
    """A CSV file with a header line."""

    text_column: str = "text"
    """Column of the user text."""
    category_column: str = "category"
    """Column of the category (optional in the file)."""
    id_column: str = "id"
    """Column of the id (optional in the file; a hash of the text otherwise)."""
    delimiter: str = ","
    """Between the fields."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: no such column, or ``file:line`` of every row that cannot be used."""
        if len(self.delimiter) != 1:
            raise DataError(f"csv delimiter {self.delimiter!r} is not one character")
        content = read_text(data_path)
        bad = BadLines(self.on_bad_lines, self.notes)
        columns = Columns(self.text_column, self.category_column, self.id_column)
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=self.delimiter)
        _need_column(self.text_column, list(reader.fieldnames or ()), data_path)
        line = reader.line_num + 1
        try:
            for record in reader:
                where = f"{data_path}:{line}"
                line = reader.line_num + 1
                if None in record:
                    bad.add(where, f"more fields than the header's {len(reader.fieldnames or ())}")
                    continue
                yield from columns.examples(record, where, bad)
        except csv.Error as error:
            raise DataError(f"{data_path}:{line}: not CSV: {error}") from error
        bad.settle()


@attrs.frozen(kw_only=True)
class ParquetTexts(BaseDataProcessor):
    """A Parquet file (needs the extra ``data``)."""

    text_column: str = "text"
    """Column of the user text."""
    category_column: str = "category"
    """Column of the category (optional in the file)."""
    id_column: str = "id"
    """Column of the id (optional in the file; a hash of the text otherwise)."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

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
            _need_column(self.text_column, names, data_path)
            wanted = [self.text_column, self.category_column, self.id_column]
            columns = Columns(*wanted)
            bad = BadLines(self.on_bad_lines, self.notes)
            row = 0
            for batch in file.iter_batches(columns=[name for name in wanted if name in names]):
                for record in batch.to_pylist():
                    row += 1
                    yield from columns.examples(record, f"{data_path}:{row}", bad)
        bad.settle()


@attrs.frozen(kw_only=True)
class HubTexts(BaseDataProcessor):
    """A dataset of the Hugging Face hub, or a local dataset folder (needs the extra ``data``).

    ``data_path`` is its id or folder. Datasets that need a script of their own are not run.
    """

    subset: str | None = None
    """Configuration of the dataset, where it has several."""
    split: str = "train"
    """Split to read."""
    revision: str | None = None
    """Commit of the dataset; pin it for a run that can be repeated."""
    text_column: str = "text"
    """Column of the user text."""
    category_column: str = "category"
    """Column of the category (optional in the dataset)."""
    id_column: str = "id"
    """Column of the id (optional in the dataset; a hash of the text otherwise)."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: cannot be loaded, no such column, or every row that is bad."""
        try:
            import datasets
        except ImportError as error:
            raise DataError("reading datasets of the hub needs datasets", fix=_EXTRA) from error
        name = f"dataset '{data_path}'"
        try:
            rows = datasets.load_dataset(
                data_path, self.subset, split=self.split, revision=self.revision
            )
        except (OSError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())
            raise DataError(f"{name} cannot be loaded", why=why) from error
        _need_column(self.text_column, list(rows.column_names), name)
        columns = Columns(self.text_column, self.category_column, self.id_column)
        bad = BadLines(self.on_bad_lines, self.notes)
        for number, record in enumerate(rows, start=1):
            yield from columns.examples(record, f"{data_path}[{self.split}]:{number}", bad)
        bad.settle()


_EXTRA = "pip install 'softdiv[data]'"


def _need_column(name: str, known: list[str], where: str) -> None:
    if name not in known:
        raise DataError(f"{where} has no column '{name}'", fix=did_you_mean(name, known))
