"""Model text is hostile until shown otherwise: what a reader cannot see is marked or dropped."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

from softdiv.errors import cut

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, clear screen
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_MARKUP = re.compile(
    r"[`*~$]|\]\("
    r"|(?<![^\W_])(?<!_)_+|(?<!_)_+(?!\w)"  # within a word it is a letter
    r"|\\(?=[!-/:-@\[-`{-~]|$)"
    r"|^(?:[\[#]|[-+](?=[-+ ]|$)|\d{1,9}[.)](?= |$))"  # a definition, heading, rule, list
    r"|(?<= )#+$"
)
_SIGN = re.compile(r"([!-/:-@\[-`{-~])")
_HTML = re.compile(r"<(?=[A-Za-z/!?]|$)|^>|&(?=#?\w+;)")
_JOINERS = frozenset({"\u200c", "\u200d"})  # emoji and several scripts are wrong without them


def visible(text: str) -> str:
    """Hidden characters (control, bidi override, surrogate) as marks; newline and tab stay."""
    return "".join(_mark(character) for character in text)


def clipped(text: str, limit: int) -> str:
    """At most ``limit`` characters, and how many more there are."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters in report.json)"


def strip_hidden(text: str) -> str:
    """For a terminal: escape sequences and hidden characters removed; newline and tab stay."""
    kept = _ESCAPE_SEQUENCE.sub("", text)
    return "".join(c for c in kept if not _hidden(c))


def one_line(text: str, limit: int | None = None) -> str:
    """:func:`strip_hidden`, white space collapsed, cut at ``limit`` characters."""
    line = " ".join(strip_hidden(text).split())
    return line if limit is None else cut(line, limit)


def said(error: BaseException) -> str:
    """What an exception says, on one line that no terminal can be moved by."""
    text = " ".join(str(error).split())
    return "".join(character if character.isprintable() else "�" for character in text)


def markdown(text: str) -> str:
    """One line of prose in which what Markdown or HTML would read is escaped, and nothing else."""
    line = " ".join(visible(text).replace("\n", " ↵ ").split())
    line = _MARKUP.sub(lambda found: _SIGN.sub(r"\\\1", found[0]), line)
    return _HTML.sub(lambda found: html.escape(found[0]), line)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as :func:`markdown` has them."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(markdown(cell).replace("|", r"\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + " --- |" * len(head), *map(line, rows)])


def encodable(text: str) -> str:
    """Lone surrogates, which UTF-8 cannot write, replaced by U+FFFD; nothing else is changed."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _hidden(character: str) -> bool:
    if character in "\n\t" or character in _JOINERS:
        return False
    return unicodedata.category(character) in _HIDDEN


def _mark(character: str) -> str:
    if not _hidden(character):
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures block: ESC becomes one visible sign
    return f"⟨U+{code:04X}⟩"
