"""From a record (a JSON object, a table's row) to an :class:`Example`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from softdiv.data.base import text_id
from softdiv.data.lines import BadLines, is_unicode
from softdiv.plugin.records import Example


@attrs.frozen
class Columns:
    """Which key of a record holds what."""

    text: str
    category: str = "category"
    id: str = "id"

    def examples(
        self, record: Mapping[str, Any], where: str, bad: BadLines, **metadata: Any
    ) -> Iterator[Example]:
        """One example, or none and an entry in ``bad``.

        Args:
            where: ``file:line`` of the record, kept as the example's ``metadata["source"]``.
        """
        text = record.get(self.text)
        if not isinstance(text, str):
            bad.add(where, f"no text under '{self.text}'")
            return
        identifier, category = record.get(self.id), record.get(self.category)
        if not text.strip():
            bad.add(where, f"the text under '{self.text}' is blank")
        elif not is_unicode(f"{text}{identifier}{category}"):
            bad.add(where, "it holds a lone surrogate, half of a character")
        else:
            bad.good += 1
            yield Example(
                id=text_id(text) if identifier in (None, "") else str(identifier),
                text=text,
                category="" if category is None else str(category),
                metadata={"source": where, **metadata},
            )
