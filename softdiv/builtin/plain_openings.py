"""Beginnings of texts outside any chat, for the searchers that let the models go on from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from softdiv import SearchTask
from softdiv.errors import DataError
from softdiv.searching import Context, uniform_rows

OPENINGS = (
    "The",
    "I think",
    "Remember that",
    "As an assistant",
    "It is well known that",
    "Once upon a time",
    "According to",
    "My favourite",
    "People often ask",
    "In this text",
)
"""So vague that what follows is the models' own choice."""
MOST_WORDS, MOST_CHARACTERS = 4, 32
"""Of a random opening; characters for writing without spaces."""
QUOTED = 8
"""Words of a quote."""


def random_openings(task: SearchTask, salt: str) -> Iterator[str]:
    """One to four words from a random place of a random training text, without end."""
    number = 0
    while True:
        (row,) = uniform_rows([f"{salt}:opening:{number}"], task.seed, 3).tolist()
        words = task.train[int(row[0] * len(task.train))].text.split()
        start = int(row[1] * len(words))
        opening = " ".join(words[start : start + 1 + int(row[2] * MOST_WORDS)])
        yield opening[:MOST_CHARACTERS].rstrip()
        number += 1


def opened_with(task: SearchTask, openings: Iterable[str], count: int) -> list[Context]:
    """The first ``count`` openings outside any chat; one that cannot be read alone is left out."""
    found: list[Context] = []
    for tried, opening in enumerate(openings):
        if len(found) == count or tried == 2 * count:
            break
        try:
            context = task.layout.plain(opening)
        except DataError:  # half a character sequence can need tokens that the models do not share
            continue
        if task.by_text or len(context):
            found.append(context)
    return found


def first_words(text: str) -> str:
    """The beginning of the first line or sentence with words in it."""
    parts = (part.strip(" \t\"'“”‘’*-–—:;,.") for part in re.split(r"(?<=[.!?])\s|\n", text))
    return " ".join(next((part for part in parts if len(part) > 2), "").split()[:QUOTED])
