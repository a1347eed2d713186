"""A held-out text as the models got it, and what they answered."""

from __future__ import annotations

from typing import Any

import attrs

from softdiv.pair.layout import with_prompt
from softdiv.plugin.records import Finding, Message

MESSAGES_SHOWN = 6
"""The last messages before a user text; report.json has all."""
CUT = "… [cut]"
"""Behind an answer that had not ended."""


@attrs.frozen
class Turn:
    """A message as the models get it, with the prompt apart where it is part of it."""

    role: str
    before: str
    prompt: str = ""
    after: str = ""


def turns(finding: Finding, place: Any) -> list[Turn]:
    """The conversation that is answered: the prompt in its place, the last messages, the text."""
    said = (*finding.example.context, Message("user", finding.example.text))
    placed, prompt = with_prompt(said, finding.prompt, place), finding.prompt
    made = [Turn(message.role, message.content) for message in placed]
    if prompt and place == "prefix":
        made.insert(0, Turn("before everything", "", prompt))
    elif prompt and place == "system":
        at = next(n for n, message in enumerate(placed) if message.role == "system")
        made[at] = Turn("system", "", prompt, placed[at].content.removeprefix(prompt))
    elif prompt and place == "user_end":
        made[-1] = Turn("user", placed[-1].content.removesuffix(prompt), prompt)
    elif prompt:
        made[-1] = Turn("user", "", prompt, placed[-1].content.removeprefix(prompt))
    last = len(made) - 1 - MESSAGES_SHOWN
    return [turn for n, turn in enumerate(made) if turn.prompt or n >= last]


def answers(finding: Finding) -> list[str]:
    """Both, with a mark where one was cut."""
    both = zip((finding.response_1, finding.response_2), finding.cut, strict=True)
    return [f"{answer}{CUT if cut else ''}" for answer, cut in both]
