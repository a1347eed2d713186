from __future__ import annotations

import pytest

from softdiv.plain_text import encodable, one_line, strip_hidden, visible


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x9b2Jgone", "gone"),
        ("a\rb\x08c\u202ed", "abcd"),
        ("line\n\tkept 👩\u200d🚀", "line\n\tkept 👩\u200d🚀"),
        ("\x1b", ""),
    ],
)
def test_terminal_text_has_no_escape(text: str, kept: str) -> None:
    assert strip_hidden(text) == kept


def test_hidden_characters_become_visible() -> None:
    assert visible("a\x1b[0m\x00\u202e\n") == "a␛[0m␀⟨U+202E⟩\n"


def test_one_line_is_cut() -> None:
    assert one_line("a\n b   c", 4) == "a b…"
    assert one_line("abcd", 4) == "abcd"


def test_lone_surrogates_are_replaced() -> None:
    assert encodable("a\ud800b😀") == "a\ufffdb😀"
