"""The shapes of records that data sets come in, recognised by their keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from softdiv.data.json_array import parse_json
from softdiv.data.messages import NotUsable, has_roles, is_messages

Record = Mapping[str, Any]

CONVERSATIONS = ("messages", "conversations", "conversation", "dialogue", "dialog", "contents")
"""Keys of a whole conversation."""
QUESTIONS = ("prompt", "question", "query")
"""Keys of a user text."""
INPUTS = ("input", "context")
"""Keys of what an instruction is about."""
SYSTEMS = ("system", "system_prompt")
"""Keys of a system message beside a conversation or a question."""
BESIDE = ("image", "images", "video", "videos", "audio", "audios", "tools", "functions")
"""Keys of what belongs to a conversation and is no text."""
_NESTED = ("input", "body")
_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):")

KEYS = frozenset(
    (*CONVERSATIONS, *QUESTIONS, "instruction", *INPUTS, "history", "chosen", *SYSTEMS, *_NESTED)
)
"""Every key that a format reads."""


@attrs.frozen
class Format:
    """How the records of one source are read."""

    name: str
    """for a note, e.g. ``the messages under 'conversations'``"""
    reads: tuple[str, ...]
    """its keys"""
    messages: Callable[[Record], list[Any]]
    """a record's messages; raises NotUsable"""
    prompt: bool = True
    """the messages end where an answer is wanted"""


def recognised(record: Record) -> Format | None:
    """The format of a record without the key that was expected; None for none that is known."""
    for key in CONVERSATIONS:
        if is_messages(decoded(record.get(key))):
            return conversation(key)
    for key in _NESTED:
        inner = record.get(key)
        if isinstance(inner, Mapping) and is_messages(inner.get("messages")):
            return _conversation_inside(key)
    if is_messages(decoded(record.get("prompt"))):
        return conversation("prompt")
    if isinstance(record.get("instruction"), str):
        return Format("Alpaca", ("instruction", *INPUTS, "history"), _alpaca)
    questions = [key for key in QUESTIONS if isinstance(record.get(key), str)]
    if len(questions) == 1:
        return text_under(questions[0])
    chosen = decoded(record.get("chosen"))
    if not questions and (has_roles(chosen) or _is_transcript(chosen)):
        return conversation("chosen")
    return None


def conversation(key: str) -> Format:
    """Messages under ``key``, as a list or as the JSON of one."""

    def messages(record: Record) -> list[Any]:
        found = decoded(record.get(key))
        if key not in CONVERSATIONS and _is_transcript(found):
            return _transcript(found)
        if not is_messages(found):
            raise NotUsable(f"no list of messages under '{key}'")
        return list(found)

    return Format(f"the messages under '{key}'", (key,), messages, prompt=key not in CONVERSATIONS)


def text_under(key: str) -> Format:
    """A user text under ``key``."""

    def messages(record: Record) -> list[Any]:
        text = _text(record, key)
        return _transcript(text) if _is_transcript(text) else [{"role": "user", "content": text}]

    return Format(f"the text under '{key}'", (key,), messages)


def decoded(value: Any) -> Any:
    """A list of messages in place of its JSON, as tables of text hold it; or the value itself."""
    if not isinstance(value, str) or not value.lstrip().startswith("[{"):
        return value
    try:
        found = parse_json(value)
    except (ValueError, RecursionError):
        return value
    return found if has_roles(found) else value


def _alpaca(record: Record) -> list[Any]:
    """An instruction, and under it what it is about; question and answer pairs before it."""
    given = [_text(record, "instruction")]
    given += [text for key in INPUTS if isinstance(text := record.get(key), str) and text.strip()]
    history = record.get("history") or []
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in history
    ):
        raise NotUsable("'history' is no list of pairs")
    return [
        *(
            {"role": role, "content": text}
            for pair in history
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ),
        {"role": "user", "content": "\n".join(given)},
    ]


def _text(record: Record, key: str) -> str:
    text = record.get(key)
    if not isinstance(text, str):
        raise NotUsable(f"no text under '{key}'")
    if not text.strip():
        raise NotUsable(f"the text under '{key}' is blank")
    return text


def _conversation_inside(key: str) -> Format:
    def messages(record: Record) -> list[Any]:
        inner = record.get(key)
        found = inner.get("messages") if isinstance(inner, Mapping) else None
        if not is_messages(found) or found is None:
            raise NotUsable(f"no list of messages under '{key}.messages'")
        return list(found)

    return Format(f"the messages under '{key}.messages'", (key,), messages)


def _is_transcript(value: Any) -> bool:
    r"""``"\n\nHuman: ...\n\nAssistant: ..."``, as preferences were first published."""
    return isinstance(value, str) and value.startswith("\n\nHuman:")


def _transcript(text: str) -> list[Any]:
    _, *rest = _TRANSCRIPT.split(text)
    return [
        {"role": role.lower(), "content": said.strip()}
        for role, said in zip(rest[::2], rest[1::2], strict=True)
    ]
