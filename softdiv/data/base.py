"""What a data source subclasses, and the loss-free reading of text files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import DataError, did_you_mean
from softdiv.plugin.records import Example


@attrs.frozen(kw_only=True)
class BaseDataProcessor:
    """A source of user texts. Subclass it, and implement :meth:`load_texts`.

    Subclasses are attrs classes: their fields are their options in TOML.
    """

    data_path: str = ""
    """File or folder to read; what it means is up to the subclass."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterable[str | Example]:
        """User texts, as plain strings or as :class:`Example` (with category and metadata)."""
        raise NotImplementedError(f"{type(self).__name__} must implement load_texts")

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Everything before this source, then its own texts."""
        yield from examples
        for item in self.load_texts(self.data_path):
            yield item if isinstance(item, Example) else Example(id=text_id(item), text=item)


def text_id(text: str) -> str:
    """A stable id of a text: the first 12 hex digits of its sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_lines(path: str) -> Iterator[tuple[str, str]]:
    """(``file:line``, line) of every line that is not blank.

    Raises:
        DataError: missing, not UTF-8, or a folder.
    """
    file = Path(path)
    if not file.is_file():
        nearby = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataError(f"data file {path} does not exist", fix=did_you_mean(file.name, nearby))
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text", why=str(error)) from error
    # not splitlines(): JSON text may hold U+2028 and the like, which are no line ends there
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line
