"""Opens a file of user texts; whatever is no file of text is told in one line."""

from __future__ import annotations

import codecs
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from softdiv.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from io import BufferedReader

GZIP = b"\x1f\x8b"
_UTF_16 = "is UTF-16 text, not UTF-8"
_NOT_TEXT: tuple[tuple[bytes, str, str], ...] = (
    (codecs.BOM_UTF32_LE, "is UTF-32 text, not UTF-8", "iconv -f UTF-32 -t UTF-8 {path} > NEW"),
    (codecs.BOM_UTF16_LE, _UTF_16, "iconv -f UTF-16 -t UTF-8 {path} > NEW"),
    (codecs.BOM_UTF16_BE, _UTF_16, "iconv -f UTF-16 -t UTF-8 {path} > NEW"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "git lfs pull"),
    (b"PAR1", "is a Parquet file", 'name = "parquet" reads it'),
    (b"ARROW1", "is an Arrow file", 'name = "hub" reads the folder of a saved dataset'),
    (b"PK\x03\x04", "is a zip archive or an Excel sheet", "unpack it, or save the sheet as CSV"),
    (b"BZh", "is compressed with bzip2", "unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "is compressed with xz", "unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstandard", "unpack it, or compress it with gzip"),
    (b"<!doctype html", "is a web page", "download the file itself"),
    (b"<html", "is a web page", "download the file itself"),
)
"""How a file begins, what that makes it, and what to do."""


@contextmanager
def opened(path: str) -> Iterator[BufferedReader | gzip.GzipFile]:
    """The bytes of a regular file, unpacked if it is gzip, behind a byte order mark.

    Raises:
        DataError: it is no file, no text, or cannot be read; also while it is read in the block.
    """
    refuse_what_is_no_file(path)
    try:
        with Path(path).open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else Path(path).open("rb") as stream:
            head = stream.read(512)
            _refuse_what_is_no_text(path, head)
            stream.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
            yield stream
    except (OSError, EOFError, zlib.error) as error:
        _unreadable(path, error)


def refuse_what_is_no_file(path: str) -> None:
    """Raises DataError for a folder, a pipe, a missing file and a path that leads nowhere."""
    if not path:
        raise DataError("a source has no data_path", fix='data_path = "FILE"')
    try:
        kind = os.stat(path).st_mode  # noqa: PTH116 (a Path hides some of the errors below)
    except FileNotFoundError as error:
        file = Path(path)
        if file.is_symlink():
            raise DataError(f"{path} is a link to {file.readlink()}, which is missing") from error
        nearby = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataError(
            f"data file {path} does not exist", fix=did_you_mean(file.name, nearby)
        ) from error
    except (OSError, ValueError) as error:  # a loop of links, no permission, a NUL in the name
        _unreadable(path, error)
    if stat.S_ISDIR(kind):
        raise DataError(f"{path} is a folder, not a file", fix="give one of the files in it")
    if not stat.S_ISREG(kind):
        raise DataError(
            f"{path} is a pipe or a device, not a file",
            fix="save it as a file: a run that goes on reads its texts again",
        )


def _refuse_what_is_no_text(path: str, head: bytes) -> None:
    if not head:
        raise DataError(f"{path} is empty")
    start = head.lower()
    for magic, what, fix in _NOT_TEXT:
        if start.startswith(magic.lower()):
            raise DataError(f"{path} {what}", fix=fix.format(path=path))
    if head.count(0) > len(head) // 4:
        raise DataError(f"{path} is no text, or UTF-16 without a mark", fix="save it as UTF-8")


def _unreadable(path: str, error: Exception) -> NoReturn:
    why = getattr(error, "strerror", None) or str(error)
    raise DataError(f"{path} cannot be read", why=why) from error
