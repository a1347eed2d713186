"""Loss-free reading of text files: every bad line is counted and located."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import attrs

from softdiv.data.files import opened
from softdiv.data.json_array import LONGEST, array_items, parse_json, why_not_json
from softdiv.errors import DataError

if TYPE_CHECKING:
    from gzip import GzipFile
    from io import BufferedReader

OnBadLines = Literal["error", "skip"]

SHOWN = 5
"""Bad lines named in a message; the rest are counted."""
MEND = 'mend the lines, or set on_bad_lines = "skip"'


@attrs.define
class BadLines:
    """What could not be used, and where."""

    on_bad_lines: OnBadLines
    notes: list[str]
    """Receives one line about what was skipped."""
    fix: str = MEND
    """Advice of the error."""
    good: int = attrs.field(init=False, default=0)
    count: int = attrs.field(init=False, default=0)
    named: list[str] = attrs.field(init=False, factory=list)
    """The first of them."""

    def add(self, where: str, reason: str) -> None:
        """A line (``file:line``) that cannot be used."""
        self.count += 1
        if self.count <= SHOWN:
            self.named.append(f"{where}: {reason}")

    def advise(self, fix: str) -> None:
        """Better advice than to mend the lines, where the first one shows what is wrong."""
        if not self.good and self.fix == MEND:
            self.fix = fix

    def settle(self) -> None:
        """At the end of the source.

        Raises:
            DataError: there were bad lines, and they are not to be skipped or nothing else.
        """
        if not self.count:
            return
        named = "; ".join(self.named)
        if self.count > SHOWN:
            named += f"; and {self.count - SHOWN} more"
        if self.on_bad_lines == "error" or not self.good:
            raise DataError(named, fix=self.fix)
        self.notes.append(f"{self.count} lines were skipped ({self.good} used): {named}")


def read_lines(path: str, bad: BadLines) -> Iterator[tuple[str, str]]:
    """(``file:line``, line) of every line that is not blank; those not in UTF-8 go to ``bad``.

    Raises:
        DataError: it is no file, or no text.
    """
    with opened(path) as stream:
        for number, content in enumerate(_lines(stream), start=1):
            where = f"{path}:{number}"
            if content is None:
                bad.add(where, f"longer than {LONGEST // 2**20} MB")
                continue
            try:
                line = content.decode("utf-8")
            except UnicodeDecodeError as error:
                bad.add(where, f"not UTF-8 text: {error.reason} at byte {error.start}")
                continue
            if line.strip():
                yield where, line


def json_objects(path: str, bad: BadLines) -> Iterator[tuple[str, dict[str, Any]]]:
    """(``file:line``, object) of JSON objects, one a line or in one array; others go to ``bad``.

    A line that holds a list of objects, as messages without a key are, is read as
    ``{"messages": [...]}``.

    Raises:
        DataError: it is no file, or no text; an array or object does not end where it should.
    """
    if _is_array(path):
        with opened(path) as stream:
            for number, item in array_items(stream, path):
                if isinstance(item, dict):
                    yield f"{path}:{number}", item
                else:
                    bad.add(f"{path}:{number}", f"not a JSON object but {type(item).__name__}")
        return
    for number, (where, line) in enumerate(read_lines(path, bad)):
        try:
            record = parse_json(line)
        except RecursionError:
            bad.add(where, "not JSON that can be read: nested too deeply")
            continue
        except ValueError as error:
            if number == 0 and line.strip() == "{":
                raise DataError(
                    f"{where}: JSON over several lines, neither an array nor an object a line",
                    fix=f"jq -c . {path} > NEW, if it holds nothing else",
                ) from error
            bad.add(where, f"not JSON: {why_not_json(error)}")
            continue
        if isinstance(record, list) and record and all(isinstance(m, dict) for m in record):
            record = {"messages": record}
        if isinstance(record, dict):
            yield where, record
        else:
            bad.add(where, f"not a JSON object but {type(record).__name__}")


def is_unicode(text: str) -> bool:
    """Whether it can be encoded: JSON's ``"\\ud800"`` and a terminal's stray bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_array(path: str) -> bool:
    """Whether the file is one JSON array, not a list on each line."""
    with opened(path) as stream:
        lines = (line for line in _lines(stream) if line is None or line.strip())
        first = next(lines, b"")
        if first is None:
            stream.seek(0)
            return stream.read(512).lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"[")
        if not first.lstrip().startswith(b"["):
            return False
        second = next(lines, None)
        return second is None or not _is_json(first)


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def _lines(stream: BufferedReader | GzipFile) -> Iterator[bytes | None]:
    """Lines; None for one that is longer than :data:`LONGEST`, of which no more is kept."""
    # not splitlines(): JSON text may hold U+2028 and the like, which are no line ends there
    while content := stream.readline(LONGEST):
        if len(content) < LONGEST or content.endswith(b"\n"):
            yield content.removesuffix(b"\n")
            continue
        while len(content) == LONGEST and not content.endswith(b"\n"):
            content = stream.readline(LONGEST)
        yield None
