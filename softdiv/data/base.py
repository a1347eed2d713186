"""What a data source subclasses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from softdiv.plugin.records import Example, Message


@attrs.frozen(kw_only=True)
class BaseDataProcessor:
    """A source of user texts. Subclass it, and implement :meth:`load_texts`.

    Subclasses are attrs classes: their fields are their options in TOML.
    """

    data_path: str = ""
    """File or folder to read; what it means is up to the subclass."""
    notes: list[str] = attrs.field(init=False, factory=list, eq=False, repr=False)
    """A source may add a line about what it left out; the report shows it."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterable[str | Example]:
        """User texts, as plain strings or as :class:`Example` (with category and metadata)."""
        raise NotImplementedError(f"{type(self).__name__} must implement load_texts")

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Everything before this source, then its own texts."""
        yield from examples
        self.notes.clear()
        for item in self.load_texts(self.data_path):
            yield item if isinstance(item, Example) else Example(id=text_id(item), text=item)


def text_id(text: str, context: Sequence[Message] = ()) -> str:
    """A stable id of a text: the first 12 hex digits of its sha256, or of it after its context."""
    if context:
        text = json.dumps([*([m.role, m.content] for m in context), text])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
