"""Built-in plugin: sources ``shipped``, ``jsonl``, ``text`` and the filter ``length``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from attrs.validators import ge

from softdiv import BaseDataProcessor, Example, hookimpl
from softdiv.data.base import read_lines, text_id
from softdiv.data.shipped_texts import user_texts
from softdiv.errors import DataError
from softdiv.plugin.registry import Register


@attrs.frozen(kw_only=True)
class ShippedTexts(BaseDataProcessor):
    """The varied user texts that come with softdiv."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterable[Example]:
        """Every shipped text with its category."""
        return [Example(id=i, text=text, category=category) for i, text, category in user_texts()]


@attrs.frozen(kw_only=True)
class JsonlTexts(BaseDataProcessor):
    """One JSON object per line."""

    text_key: str = "text"
    """Key of the user text."""
    category_key: str = "category"
    """Key of the category (optional in the file)."""
    id_key: str = "id"
    """Key of the id (optional in the file; a hash of the text otherwise)."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError with ``file:line`` for a line that cannot be used."""
        for where, line in read_lines(data_path):
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{where}: not JSON: {error}") from error
            if not isinstance(record, dict) or not isinstance(record.get(self.text_key), str):
                raise DataError(f"{where}: no text under '{self.text_key}'")
            text = record[self.text_key]
            if not text.strip():
                raise DataError(f"{where}: the text under '{self.text_key}' is blank")
            yield Example(
                id=str(record.get(self.id_key) or text_id(text)),
                text=text,
                category=str(record.get(self.category_key) or ""),
                metadata={"source": where},
            )


@attrs.frozen(kw_only=True)
class TextLines(BaseDataProcessor):
    """One user text per line."""

    category: str = ""
    """Category of all of them."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Every line that is not blank."""
        for where, line in read_lines(data_path):
            text = line.strip()
            yield Example(
                id=text_id(text), text=text, category=self.category, metadata={"source": where}
            )


@attrs.frozen(kw_only=True)
class Length:
    """Keeps texts of a length that fits the batch. Counts words, so no model is needed."""

    min_words: int = attrs.field(default=1, validator=ge(0))
    """Shortest text kept."""
    max_words: int = attrs.field(default=64, validator=ge(1))
    """Longest text kept."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The texts within the limits."""
        for example in examples:
            if self.min_words <= len(example.text.split()) <= self.max_words:
                yield example


@hookimpl
def softdiv_register_processors(register: Register) -> None:
    """Register sources and filters."""
    register("shipped", ShippedTexts)
    register("jsonl", JsonlTexts)
    register("text", TextLines)
    register("length", Length)
