"""Source ``chat``: user turns out of conversations, with what was said before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data.lines import BadLines, OnBadLines, json_objects
from softdiv.data.messages import Conversations, Turns
from softdiv.data.records import Columns, Records


@attrs.frozen(kw_only=True)
class ChatTexts(BaseDataProcessor):
    """Conversations, one per line or in a JSON array, e.g. ``{"messages": [{"role", "content"}]}``.

    Both models answer a user turn afresh, after the system message and the turns before it.
    """

    messages_key: str = "messages"
    """Key of the list of messages; where it is missing, usual ones are recognised."""
    turns: Turns = "auto"
    """Which user turns become user texts. auto: the first; of a prompt, which ends where an answer
    is wanted, the last."""
    category_key: str = "category"
    """Key of the category (optional in the file)."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError with ``file:line`` of every conversation that cannot be used."""
        bad = BadLines(self.on_bad_lines, self.notes)
        records = Records(
            columns=Columns(self.messages_key, self.category_key, id=""),
            option="messages_key",
            place=data_path,
            bad=bad,
            conversations=Conversations(self.turns),
            usual=self.messages_key == "messages",
            plain=False,
        )
        for where, record in json_objects(data_path, bad):
            yield from records.examples(record, where)
        records.settle()
