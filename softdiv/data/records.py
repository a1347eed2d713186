"""From a record (a JSON object, a table's row) to an :class:`Example`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from softdiv.data import formats
from softdiv.data.base import text_id
from softdiv.data.lines import BadLines, is_unicode
from softdiv.data.messages import Conversations, NotUsable
from softdiv.errors import closest, cut
from softdiv.plugin.records import Example, Message

_WHOLE_EXCHANGE = re.compile(
    r"### ?(Assistant|Response|Output):|\[/INST\]|<\|(im_start|start_header_id)\|>|\n\nAssistant:"
)
KEYS_SHOWN = 12
LONGEST_KEY = 30
"""What stands where keys should may be a line of somebody's file."""


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
        elif not text.strip():
            bad.add(where, f"the text under '{self.text}' is blank")
        else:
            yield from self.example(text, (), record, where, bad, **metadata)

    def example(
        self,
        text: str,
        context: Sequence[Message],
        record: Mapping[str, Any],
        where: str,
        bad: BadLines,
        **metadata: Any,
    ) -> Iterator[Example]:
        """The example of a text that was taken from a record, or an entry in ``bad``."""
        identifier = record.get(self.id) if self.id else None
        category = record.get(self.category)
        said = "".join(message.content for message in context)
        if not is_unicode(f"{text}{said}"):
            foreign = any("\udc80" <= letter <= "\udcff" for letter in f"{text}{said}")
            why = "it is not UTF-8 text (iconv -f LATIN1 -t UTF-8 FILE mends a Latin-1 file)"
            bad.add(where, why if foreign else "it holds half a character (a lone surrogate)")
        elif isinstance(identifier, (dict, list, float)):
            bad.add(where, f"the id under '{self.id}' is neither text nor an integer")
        elif not is_unicode(f"{identifier}{category}"):
            bad.add(where, "its id or category holds half a character (a lone surrogate)")
        else:
            bad.good += 1
            yield Example(
                id=text_id(text, context) if identifier in (None, "") else str(identifier),
                text=text,
                category="" if category is None else str(category),
                context=tuple(context),
                metadata={"source": where, **metadata},
            )


@attrs.define
class Records:
    """The records of one source: a text or a conversation each, recognised where no key says."""

    columns: Columns
    option: str
    """the source's option that names the key of the text, for advice"""
    place: str
    """the source, for notes"""
    bad: BadLines
    conversations: Conversations
    usual: bool
    """the expected key is the option's default: where it is missing, another may be recognised"""
    plain: bool = True
    """a text under the expected key is one user text; otherwise it must be a list of messages"""
    _format: formats.Format | None = attrs.field(init=False, default=None)
    _unused: dict[str, None] = attrs.field(init=False, factory=dict)
    _whole: int = attrs.field(init=False, default=0)
    _inputs: int = attrs.field(init=False, default=0)

    def examples(self, record: Mapping[str, Any], where: str) -> Iterator[Example]:
        """The record's examples, or none and an entry in the bad lines.

        The first record that is recognised says how those after it are read.
        """
        wanted = self.columns.text
        found = formats.decoded(record.get(wanted))
        if isinstance(found, list) or (wanted in record and not self.plain):
            yield from self._cut(formats.conversation(wanted), record, where)
        elif wanted in record:
            if isinstance(found, str):
                self._whole += bool(_WHOLE_EXCHANGE.search(found))
                self._inputs += wanted == "instruction" and bool(record.get("input"))
            yield from self.columns.examples(record, where, self.bad)
        else:
            if self._format is None and self.usual:
                self._format = formats.recognised(record)
            if self._format is None:
                what = "text" if self.plain else "list of messages"
                # where no line was good the advice names them
                among = f", its keys are {listed(record)}" if self.bad.good and record else ""
                self.bad.add(where, f"no {what} under '{wanted}'{among}")
                self.bad.advise(self._advice(record))
                return
            yield from self._cut(self._format, record, where)
            read = {*self._format.reads, *formats.SYSTEMS, self.columns.category}
            self._unused |= dict.fromkeys(key for key in record if key not in read)

    def settle(self) -> None:
        """At the end of the source: its notes. Raises DataError as :meth:`BadLines.settle`."""
        self.bad.settle()
        note, counts = self.bad.notes.append, self.conversations
        if self._format is not None:
            unused = f"; not used: {listed(self._unused)}" if self._unused else ""
            note(f"{self.place} has no '{self.columns.text}': read {self._format.name}{unused}")
        if counts.lost:
            note(f"{self.place}: left out of the conversations: {_counted(counts.lost)}")
        if counts.later:
            note(
                f"{counts.later} later user turns of {self.place} were left out "
                '(turns = "all" or "last" takes them, after what was said before)'
            )
        if self._inputs:
            note(
                f"{self._inputs} inputs beside an instruction of {self.place} were left out "
                f"(without {self.option} they are read too)"
            )
        if self._whole:
            note(
                f"{self._whole} texts of {self.place} look like whole exchanges, answers included "
                f"(### Response:, [/INST] and the like): is {self.option} the right one?"
            )

    def _cut(
        self, found: formats.Format, record: Mapping[str, Any], where: str
    ) -> Iterator[Example]:
        system = next((text for key in formats.SYSTEMS if (text := record.get(key))), "")
        try:
            if not isinstance(system, str):
                raise NotUsable("the system message is no text")
            texts = self.conversations.cut(
                found.messages(record), prompt=found.prompt, system=system
            )
        except NotUsable as error:
            self.bad.add(where, str(error))
            return
        for key in formats.BESIDE:
            if record.get(key):
                self.conversations.lost[f"values under '{key}'"] += 1
        # a conversation's id would be that of each of its turns
        columns = self.columns if found.prompt else attrs.evolve(self.columns, id="")
        for text, context in texts:
            yield from columns.example(text, context, record, where, self.bad)

    def _advice(self, record: Mapping[str, Any]) -> str:
        """Which keys there are, and what to type."""
        texts = [key for key, value in record.items() if isinstance(value, (str, list)) and value]
        near = closest(self.columns.text, texts, cutoff=0.75) or (
            texts[0] if len(texts) == 1 else None
        )
        keys = f"its keys are {listed(record)}" if record else "it has no keys"
        if near is not None:
            return f'{keys}: did you mean {self.option} = "{cut(near, LONGEST_KEY)}"?'
        return f"{keys}: {self.option} names the one to read" if texts else keys


def listed(keys: Mapping[str, Any]) -> str:
    """Keys of somebody's record in one line, the first of them."""
    more = f" and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else ""
    return ", ".join(cut(key, LONGEST_KEY) for key in list(keys)[:KEYS_SHOWN]) + more


def _counted(lost: Mapping[str, int]) -> str:
    """``image parts: 3, tool calls: 1``, the commonest first."""
    names = sorted(lost, key=lambda name: -lost[name])
    return ", ".join(f"{name}: {lost[name]}" for name in names[:KEYS_SHOWN])
