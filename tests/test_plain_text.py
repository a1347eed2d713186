from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from softdiv.plain_text import (
    encodable,
    markdown,
    markdown_table,
    one_line,
    strip_hidden,
    visible,
)
from tests.report.hostile import HOSTILE_TEXTS


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


SIGNS = (
    *HOSTILE_TEXTS[:-1],
    *(
        "*a* **b**",
        "_a_ __b__ a__b_ _c",
        "`a` ``",
        "~~a~~",
        "~a~",
        "$x$",
        "a\\",
        "\\*",
        "\\a",
        "\\|",
    ),
    *("[a](b)", "[a]: b", "[a][b]", "![a](b)", "# a", "#a #", "#", "- a", "-", "---", "+ a", "* a"),
    *(
        "1. a",
        "12) a",
        "1.5 a",
        "> a",
        "a > b",
        "<b>",
        "<",
        "a < b",
        "&lt; &#60; &x",
        "| a |",
        "===",
    ),
    *("a\n# b", "model_1 [0.1, 0.2] (p = 0.3), -0.4 + 1. a-b! {c} R&D", "a_", "é_ü", "_é"),
)


READ = {"text", "text_special", "strong_open", "strong_close"}


@pytest.mark.parametrize("text", SIGNS)
def test_markdown_reads_nothing_in_a_text(text: str) -> None:
    plain = " ".join(visible(text).replace("\n", " ↵ ").split())
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for before, after in (("", ""), ("- ", ""), ("# ", ""), ("**", "**"), ("said: ", " (so)")):
        tokens = reader.parse(f"{before}{markdown(text)}{after}")
        inline = next(token for token in tokens if token.type == "inline").children or []
        assert {token.type for token in inline} <= READ
        assert plain in "".join(token.content for token in inline)
    cells = [
        t for t in reader.parse(markdown_table([text, "b"], [["a", text]])) if t.type == "inline"
    ]
    assert len(cells) == 4
    assert "".join(token.content for token in cells[3].children or []) == plain


def test_nothing_is_escaped_that_needs_it_not() -> None:
    text = "model_1's D is 0.52 [0.49, 0.56] (p < 0.05, -0.3 + 1); sign-flip! R&D {x} #2 | a > b"
    assert markdown(text) == text
