"""Where two answers have the same words."""

from __future__ import annotations

import difflib
import re

_WORD = re.compile(r"\s*(?:\w+|[^\w\s]|$)")
"""With the space before it; anything else is a word of one character."""

Pieces = list[tuple[str, bool]]
"""(text, whether the other answer does not have it there); joined, the whole text"""


def word_diff(one: str, two: str) -> tuple[Pieces, Pieces]:
    """Both texts in parts, as few as there are."""
    words_1, words_2 = _WORD.findall(one), _WORD.findall(two)
    first: Pieces = []
    second: Pieces = []
    matcher = difflib.SequenceMatcher(None, words_1, words_2, autojunk=False)
    for kind, start_1, end_1, start_2, end_2 in matcher.get_opcodes():
        for parts, words in ((first, words_1[start_1:end_1]), (second, words_2[start_2:end_2])):
            if text := "".join(words):
                parts.append((text, kind != "equal"))
    return first, second
