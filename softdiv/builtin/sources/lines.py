"""Sources that come with softdiv or hold one text per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data.lines import BadLines, OnBadLines, json_objects, read_lines
from softdiv.data.messages import Conversations, Turns
from softdiv.data.records import Columns, Records
from softdiv.data.shipped_texts import user_texts


@attrs.frozen(kw_only=True)
class ShippedTexts(BaseDataProcessor):
    """The varied user texts that come with softdiv."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterable[Example]:
        """Every shipped text with its category."""
        return [Example(id=i, text=text, category=category) for i, text, category in user_texts()]


@attrs.frozen(kw_only=True)
class JsonlTexts(BaseDataProcessor):
    """One JSON object per line, or an array of them."""

    text_key: str = "text"
    """Key of the user text or of a list of messages; where it is missing, usual ones are
    recognised."""
    category_key: str = "category"
    """Key of the category (optional in the file)."""
    id_key: str = "id"
    """Key of the id (optional in the file; a hash of the text otherwise)."""
    turns: Turns = "auto"
    """Which user turns of a conversation are taken, as of the source ``chat``."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError with ``file:line`` of every line that cannot be used."""
        bad = BadLines(self.on_bad_lines, self.notes)
        records = Records(
            columns=Columns(self.text_key, self.category_key, self.id_key),
            option="text_key",
            place=data_path,
            bad=bad,
            conversations=Conversations(self.turns),
            usual=self.text_key == "text",
        )
        for where, record in json_objects(data_path, bad):
            yield from records.examples(record, where)
        records.settle()


@attrs.frozen(kw_only=True)
class TextLines(BaseDataProcessor):
    """One user text per line."""

    category: str = ""
    """Category of all of them."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Every line that is not blank. Raises DataError with ``file:line`` of bad ones."""
        bad = BadLines(self.on_bad_lines, self.notes)
        objects = 0
        for where, line in read_lines(data_path, bad):
            objects += line.lstrip().startswith('{"')
            record = {"text": line.strip(), "category": self.category}
            yield from Columns("text").examples(record, where, bad)
        bad.settle()
        if data_path.lower().endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")):
            self.notes.append(
                f"{data_path}: every line is taken as a text, the header too; "
                'name = "csv" reads one column'
            )
        if objects > bad.good / 2:
            self.notes.append(f'{data_path} looks like JSON: name = "jsonl" reads the texts in it')
