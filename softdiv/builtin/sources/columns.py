"""Sources ``parquet`` and ``hub``: tables by column, each behind an optional package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from softdiv import Example
from softdiv.builtin.sources.tables import TableRow, TableTexts
from softdiv.data.files import refuse_what_is_no_file
from softdiv.data.lines import BadLines
from softdiv.errors import DataError, in_one_line


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
        refuse_what_is_no_file(data_path)
        try:
            file = parquet.ParquetFile(data_path)
        except (pyarrow.ArrowException, OSError) as error:
            why = in_one_line(str(error))
            raise DataError(f"{data_path} is not a Parquet file", why=why) from error

        def rows() -> Iterator[TableRow]:
            row = 0
            try:
                for batch in file.iter_batches(columns=self.wanted(names), batch_size=1024):
                    for record in batch.to_pylist():
                        row += 1
                        yield f"{data_path}:{row}", record
            except (pyarrow.ArrowException, OSError, ValueError) as error:
                why = in_one_line(str(error))
                raise DataError(f"{data_path} is damaged behind row {row}", why=why) from error

        with file:
            names = file.schema_arrow.names
            bad = BadLines(self.on_bad_lines, self.notes)
            yield from self.examples(rows(), names, data_path, bad)


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
        name, place = f"dataset '{data_path}'", f"{data_path}[{self.split}]"
        try:
            if any((Path(data_path) / file).is_file() for file in _SAVED):
                found = datasets.load_from_disk(data_path)
                found = found[self.split] if isinstance(found, datasets.DatasetDict) else found
            else:
                found = datasets.load_dataset(
                    data_path,
                    self.subset,
                    split=self.split,
                    revision=self.revision,
                    trust_remote_code=False,
                )
            names = list(found.column_names)
            found = found.select_columns(self.wanted(names))
        except Exception as error:  # of the hub, pyarrow, fsspec and whatever reads the files
            raise _unloadable(name, error) from error

        def rows() -> Iterator[TableRow]:
            try:
                for row, record in enumerate(found, start=1):
                    yield f"{place}:{row}", record
            except Exception as error:  # as above
                raise _unloadable(name, error) from error

        bad = BadLines(self.on_bad_lines, self.notes)
        yield from self.examples(rows(), names, name, bad)


def _unloadable(name: str, error: Exception) -> DataError:
    """With the reason that ``datasets`` keeps behind its own "an error occurred"."""
    cause = error.__cause__ or error
    return DataError(
        f"{name} cannot be loaded", why=in_one_line(str(cause) or type(cause).__name__)
    )


_SAVED = ("state.json", "dataset_dict.json")
"""One of them is in a folder that ``save_to_disk`` wrote."""
_EXTRA = "pip install 'softdiv[data]'"
