"""Source ``chat``: user turns out of conversations in the usual messages format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data.lines import BadLines, OnBadLines, json_objects
from softdiv.data.records import Columns


@attrs.frozen(kw_only=True)
class ChatTexts(BaseDataProcessor):
    """One conversation per line: ``{"messages": [{"role": "user", "content": "…"}, …]}``.

    Both models answer a user turn afresh, without the turns before it: a turn that needs them
    ("and the second one?") says little, so by default only the first is taken.
    """

    messages_key: str = "messages"
    """Key of the list of messages."""
    turns: Literal["first", "last", "all"] = "first"
    """Which user turns become user texts."""
    category_key: str = "category"
    """Key of the category (optional in the file)."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError with ``file:line`` of every conversation that cannot be used."""
        bad = BadLines(self.on_bad_lines, self.notes)
        columns = Columns("content", self.category_key)
        left_out = 0
        for where, record in json_objects(data_path, bad):
            messages = record.get(self.messages_key)
            if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
                bad.add(where, f"no list of messages under '{self.messages_key}'")
                continue
            turns = [m for m in messages if m.get("role") == "user"]
            if not turns:
                bad.add(where, "no message with the role 'user'")
                continue
            chosen = {"first": turns[:1], "last": turns[-1:], "all": turns}[self.turns]
            left_out += len(turns) - len(chosen)
            for turn in chosen:
                turn = {
                    "content": turn.get("content"),
                    self.category_key: record.get(self.category_key),
                }
                yield from columns.examples(turn, where, bad)
        bad.settle()
        if left_out:
            self.notes.append(
                f"{left_out} user turns of {data_path} that are not the {self.turns} were left out"
            )
