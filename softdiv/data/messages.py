"""A list of messages as people write it, to user texts with what was said before each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from softdiv.errors import did_you_mean
from softdiv.plugin.records import Message

Turns = Literal["auto", "first", "last", "all"]

ROLE_KEYS = ("role", "from", "speaker")
CONTENT_KEYS = ("content", "value", "text", "parts")
ROLES: Mapping[str, str] = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "claude"), "assistant"),
    **dict.fromkeys(("model", "bot", "ai", "function_call", "tool_call"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
    **dict.fromkeys(("tool_response", "function_response"), "tool"),
}
"""What data sets call a role -> what chat templates call it."""
_TEXT_PARTS = (None, "text", "input_text", "output_text")
_CALLS = ("tool_calls", "function_call")


class NotUsable(ValueError):
    """A record that holds no conversation; the message says why."""


@attrs.define
class Conversations:
    """Cuts conversations at user turns; counts what a text cannot hold."""

    turns: Turns = "auto"
    """Which user turns become texts; ``auto`` is the first, and of a prompt the last."""
    lost: Counter[str] = attrs.field(init=False, factory=Counter)
    """What was left out, by name."""
    later: int = attrs.field(init=False, default=0)
    """User turns behind the one that was taken."""

    def cut(
        self, messages: Sequence[Any], *, prompt: bool = False, system: str = ""
    ) -> list[tuple[str, tuple[Message, ...]]]:
        """(user text, messages before it) of every turn that is taken, in order.

        Args:
            prompt: the messages end where an answer is wanted.
            system: a system message that is not among them.

        Raises:
            NotUsable: a message has no known role, or no user turn has text.
        """
        read = [_message(number, message) for number, message in enumerate(messages, start=1)]
        users = [i for i, (message, _) in enumerate(read) if message.role == "user"]
        with_text = [i for i in users if read[i][0].content.strip()]
        if not with_text:
            what = "no text in its user messages" if users else "no message with the role 'user'"
            raise NotUsable(what if messages else "an empty list of messages")
        turns = ("last" if prompt else "first") if self.turns == "auto" else self.turns
        taken = {"first": with_text[:1], "last": with_text[-1:], "all": with_text}[turns]
        self.later += sum(i > taken[-1] for i in with_text)
        for message, lost in read[: taken[-1] + 1]:
            self.lost.update(lost if message.content or lost else {"empty messages": 1})
        has_system = any(message.role == "system" and message.content for message, _ in read)
        opening = []
        if system.strip() and has_system:
            self.lost["system messages beside the conversation's own"] += 1
        elif system.strip():
            opening = [Message("system", system)]
        return [
            (
                read[place][0].content,
                (*opening, *(message for message, _ in read[:place] if message.content.strip())),
            )
            for place in taken
        ]


def is_messages(value: Any) -> bool:
    """Whether it is a list of tables, as a conversation is; an empty one counts."""
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def has_roles(value: Any) -> bool:
    """Whether it is a list of messages that say who speaks."""
    return is_messages(value) and bool(value) and any(key in value[0] for key in ROLE_KEYS)


def _message(number: int, message: Mapping[str, Any]) -> tuple[Message, Counter[str]]:
    """A message in text, and what of it is no text."""
    name = next((message[key] for key in ROLE_KEYS if isinstance(message.get(key), str)), None)
    if name is None:
        raise NotUsable(f"message {number} does not say who speaks (role, from)")
    role = ROLES.get(name.strip().lower())
    if role is None:
        raise NotUsable(f"message {number} has the role '{name[:30]}', {did_you_mean(name, ROLES)}")
    lost: Counter[str] = Counter()
    given = (message[key] for key in CONTENT_KEYS if message.get(key) is not None)
    content = _text(next(given, None), number, lost)
    for key in _CALLS:
        calls = message.get(key)
        if calls:
            lost["tool calls"] += len(calls) if isinstance(calls, list) else 1
    return Message(role, content if content.strip() else ""), lost


def _text(content: Any, number: int, lost: Counter[str]) -> str:
    """The text of a message's content; parts that are none are counted."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, list):
        raise NotUsable(f"the content of message {number} is {type(content).__name__}, not text")
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = part.get("text") if isinstance(part, Mapping) else part
        if kind in _TEXT_PARTS and isinstance(text, str):
            texts.append(text)
        else:
            lost[f"{_kind(kind)} parts"] += 1
    return "\n".join(texts)  # as inference servers join them for templates that take text only


def _kind(kind: Any) -> str:
    """``image`` for image, image_url and input_image; a short word whatever the file says."""
    word = str(kind).lower()
    for known in ("image", "audio", "video", "file"):
        if known in word:
            return known
    return word if re.fullmatch(r"[a-z_]{1,20}", word) else "other"
