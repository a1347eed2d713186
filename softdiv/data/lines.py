"""Loss-free reading of text files: every bad line is counted and located."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import attrs

from softdiv.errors import DataError, did_you_mean

OnBadLines = Literal["error", "skip"]

SHOWN = 5
"""Bad lines named in a message; the rest are counted."""


@attrs.define
class BadLines:
    """What could not be used, and where."""

    on_bad_lines: OnBadLines
    notes: list[str]
    """Receives one line about what was skipped."""
    fix: str = 'mend the lines, or set on_bad_lines = "skip"'
    """Advice of the error."""
    good: int = attrs.field(init=False, default=0)
    found: list[str] = attrs.field(init=False, factory=list)

    def add(self, where: str, reason: str) -> None:
        """A line (``file:line``) that cannot be used."""
        self.found.append(f"{where}: {reason}")

    def settle(self) -> None:
        """At the end of the source.

        Raises:
            DataError: there were bad lines, and they are not to be skipped.
        """
        if not self.found:
            return
        named = "; ".join(self.found[:SHOWN])
        if len(self.found) > SHOWN:
            named += f"; and {len(self.found) - SHOWN} more"
        if self.on_bad_lines == "error":
            raise DataError(named, fix=self.fix)
        self.notes.append(f"{len(self.found)} lines were skipped ({self.good} used): {named}")


def read_text(path: str) -> str:
    """The file's text, without a byte order mark.

    Raises:
        DataError: missing, a folder, or not UTF-8 (with the line).
    """
    content = _content(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}:{line} is not UTF-8 text", why=str(error)) from error


def read_lines(path: str, bad: BadLines) -> Iterator[tuple[str, str]]:
    """(``file:line``, line) of every line that is not blank; those not in UTF-8 go to ``bad``.

    Raises:
        DataError: missing, or a folder.
    """
    # not splitlines(): JSON text may hold U+2028 and the like, which are no line ends there
    for number, content in enumerate(_content(path).split(b"\n"), start=1):
        where = f"{path}:{number}"
        try:
            line = content.decode("utf-8")
        except UnicodeDecodeError as error:
            bad.add(where, f"not UTF-8 text: {error}")
            continue
        if line.strip():
            yield where, line


def json_objects(path: str, bad: BadLines) -> Iterator[tuple[str, dict[str, Any]]]:
    """(``file:line``, object) of every line that holds a JSON object; others go to ``bad``."""
    for where, line in read_lines(path, bad):
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            bad.add(where, f"not JSON: {error}")
            continue
        if isinstance(record, dict):
            yield where, record
        else:
            bad.add(where, f"not a JSON object but {type(record).__name__}")


def is_unicode(text: str) -> bool:
    """Whether it can be encoded: JSON's ``"\\ud800"`` and a terminal's stray bytes cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _content(path: str) -> bytes:
    """The file's bytes without a byte order mark. Raises DataError as :func:`read_lines`."""
    file = Path(path)
    if file.is_dir():
        raise DataError(f"{path} is a folder, not a file")
    if not file.is_file():
        nearby = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataError(f"data file {path} does not exist", fix=did_you_mean(file.name, nearby))
    try:
        return file.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise DataError(f"{path} cannot be read", why=error.strerror or str(error)) from error
