"""The items of a JSON array, one after another: a file of any size, on one line or on many."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from softdiv.errors import DataError

if TYPE_CHECKING:
    from gzip import GzipFile
    from io import BufferedReader

LONGEST = 2**26
"""Bytes of the longest line, and characters of the longest item, that is read."""
_CHUNK = 2**16
_SPACE = re.compile(r"[ \t\r\n]*")


def _integer(digits: str) -> float:
    """Python refuses to read more digits, with an error of its own; no text needs them."""
    return int(digits) if len(digits) <= 1000 else float(digits)


_DECODER = json.JSONDecoder(parse_int=_integer)


def parse_json(text: str) -> Any:
    """One JSON value. Raises ValueError or RecursionError."""
    return _DECODER.decode(text)


def why_not_json(error: ValueError) -> str:
    """Of :func:`parse_json`'s error; its line is none of the file's."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at column {error.colno}"
    return str(error)


def array_items(stream: BufferedReader | GzipFile, path: str) -> Iterator[tuple[int, Any]]:
    """(line, item) of the array that ``stream`` holds.

    Bytes that are not UTF-8 become lone surrogates, so that they spoil their own item only.

    Raises:
        DataError: an item is not JSON: nothing says where the next one begins.
    """
    text = _Text(stream, path)
    text.take("[")
    if text.peek() == "]":
        text.take("]")
    else:
        while True:
            text.peek()
            yield text.line, text.value()
            if text.take(",", "]") == "]":
                break
    if text.peek():
        raise text.refused("text after the end of the array")


@attrs.define
class _Text:
    """A stream's text from the place that was read up to."""

    stream: BufferedReader | GzipFile
    path: str
    line: int = 1
    _buffer: str = ""
    _at: int = 0
    _decoder: codecs.IncrementalDecoder = attrs.field(
        init=False, factory=lambda: codecs.getincrementaldecoder("utf-8")("surrogateescape")
    )

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._move(found.end() if found else self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def take(self, *expected: str) -> str:
        """The next character. Raises DataError if it is none of these."""
        found = self.peek()
        if found not in expected:
            raise self.refused(f"expected {' or '.join(expected)}")
        self._at += 1
        return found

    def value(self) -> Any:
        """The next value. Raises DataError if there is none."""
        while True:
            try:
                made, end = _DECODER.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if len(self._buffer) - self._at < LONGEST and self._more():
                    continue  # it may only be cut off
                self._move(error.pos)
                raise self.refused(error.msg) from error
            except RecursionError as error:
                raise self.refused("nested too deeply") from error
            if isinstance(made, float | int) and end > len(self._buffer) - 4 and self._more():
                continue  # a number may go on, behind "e+" too
            self._move(end)
            return made

    def refused(self, why: str) -> DataError:
        """An error at the present place."""
        return DataError(
            f"{self.path}:{self.line}: not a JSON array: {why}",
            fix="mend it; what follows in the file has no sure beginning",
        )

    def _more(self) -> bool:
        """Read on, as much again as is waiting. False at the end of the stream."""
        chunk = self.stream.read(max(_CHUNK, len(self._buffer) - self._at))
        found = self._decoder.decode(chunk, not chunk)
        if not chunk:
            self._buffer += found  # the half of a character that a file cut short ends in
            return bool(found)
        self._buffer, self._at = self._buffer[self._at :] + found, 0
        return True

    def _move(self, end: int) -> None:
        self.line += self._buffer.count("\n", self._at, end)
        self._at = end
