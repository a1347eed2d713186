"""Conversations: what is kept before a user turn, and the count of what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from softdiv.builtin.sources.filters import Dedupe, Length, Template
from softdiv.data.messages import Conversations, NotUsable
from softdiv.plugin.records import Example, Message


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


TOOLS = [
    said("developer", "be short"),
    said("user", "weather?"),
    said("assistant", None, tool_calls=[{"id": "1"}, {"id": "2"}]),
    said("tool", "rain"),
    said("assistant", "It rains."),
    said("user", "and tomorrow?"),
    said("assistant", "Sun."),
]


def test_everything_before_a_turn_is_its_context() -> None:
    cutter = Conversations("last")
    ((text, context),) = cutter.cut(TOOLS)
    assert text == "and tomorrow?"
    assert [(m.role, m.content) for m in context] == [
        ("system", "be short"),
        ("user", "weather?"),
        ("tool", "rain"),
        ("assistant", "It rains."),
    ]
    assert cutter.lost == {"tool calls": 2}


def test_turns_of_a_conversation_and_of_a_prompt() -> None:
    for turns, prompt, expected in (
        ("auto", False, ["weather?"]),
        ("auto", True, ["and tomorrow?"]),
        ("first", True, ["weather?"]),
        ("last", False, ["and tomorrow?"]),
        ("all", False, ["weather?", "and tomorrow?"]),
    ):
        cutter = Conversations(turns)  # type: ignore[arg-type]
        assert [text for text, _ in cutter.cut(TOOLS, prompt=prompt)] == expected
        assert cutter.later == (expected[-1] == "weather?")


def test_only_what_stands_before_a_taken_turn_counts_as_lost() -> None:
    cutter = Conversations()
    cutter.cut(TOOLS)
    assert cutter.lost == {}


@pytest.mark.parametrize(
    ("role", "kept"),
    [
        *((name, "assistant") for name in ("gpt", "model", "bot", "ChatGPT", "function_call")),
        *((name, "tool") for name in ("observation", "function", "tool_response", "tool")),
        ("developer", "system"),
        (" Human ", "user"),
    ],
)
def test_roles(role: str, kept: str) -> None:
    ((_, context),) = Conversations("last").cut(
        [{"from": role, "value": "a"}, {"from": "human", "value": "b"}]
    )
    assert context == (Message(kept, "a"),)


def test_parts() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "input_image"},
        {"type": "<script>" * 99},
        "two",
        {"type": "text", "text": None},
    ]
    cutter = Conversations()
    assert cutter.cut([said("user", parts)]) == [("one\ntwo", ())]
    assert cutter.lost == {"image parts": 2, "other parts": 1, "text parts": 1}


def test_messages_without_text_are_left_out_and_counted() -> None:
    cutter = Conversations("last")
    talk = [said("system", ""), said("user", " "), said("assistant", None), said("user", "a")]
    assert cutter.cut(talk) == [("a", ())]
    assert cutter.lost == {"empty messages": 3}


def test_a_system_message_beside_the_conversation() -> None:
    cutter = Conversations()
    assert cutter.cut([said("user", "a")], system="s") == [("a", (Message("system", "s"),))]
    own = [said("system", "own"), said("user", "a")]
    assert cutter.cut(own, system="s") == [("a", (Message("system", "own"),))]
    assert cutter.lost == {"system messages beside the conversation's own": 1}
    assert cutter.cut([said("user", "a")], system=" ") == [("a", ())]


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        ([], "an empty list of messages"),
        ([said("assistant", "a")], "no message with the role 'user'"),
        ([said("user", [{"type": "image"}])], "no text in its user messages"),
        ([said("narrator", "a")], "message 1 has the role 'narrator', known: ai, "),
        ([said("user", {"a": 1}["a"])], "the content of message 1 is int, not text"),
        ([{"role": 3, "content": "a"}], "message 1 does not say who speaks"),
    ],
)
def test_what_is_no_conversation(talk: list[Any], reason: str) -> None:
    with pytest.raises(NotUsable) as caught:
        Conversations().cut(talk)
    assert str(caught.value).startswith(reason)


def example(identifier: str, text: str, *before: str) -> Example:
    context = tuple(Message("assistant", said) for said in before)
    return Example(id=identifier, text=text, context=context)


def test_filters_see_the_context() -> None:
    texts = [
        example("1", "And you?"),
        example("2", "and you", "I am well."),
        example("3", "And you?", "I am  well"),
        example("4", "And you?", "I am ill."),
    ]
    assert [e.id for e in Dedupe()(texts)] == ["1", "2", "4"]
    assert [e.id for e in Length(max_words=2)(texts)] == ["1", "2", "3", "4"]
    assert [e.id for e in Length(max_context_words=2)(texts)] == ["1"]
    (made,) = Template(template="Say: {text}")(texts[1:2])
    assert (made.text, made.context) == ("Say: and you", texts[1].context)
