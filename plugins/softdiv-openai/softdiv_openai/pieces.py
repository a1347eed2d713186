"""Where the tokens of an answer end in its text, though an endpoint shows half characters badly.

A token may hold a part of a character. Endpoints leave that part out, or show it as U+FFFD, in the
token and in its bytes too. So a token is believed to be as it is shown only where its bytes are
given and are whole characters, and a boundary counts where nothing but one reading of the others
fits the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

HALF = "\ufffd"
State: TypeAlias = tuple[int, bool, bool]
"""Characters of the text that are complete, whether the next one has begun, and whether a token was
passed that the text does not show."""


class Piece(NamedTuple):
    """What an endpoint shows of a token, without its parts of characters."""

    text: str
    whole: bool
    """There are none."""


def shown(entry: Any) -> Piece:
    """One token of an endpoint's."""
    if entry.bytes is None:
        return Piece(str(entry.token).replace(HALF, ""), False)
    raw = bytes(entry.bytes)
    text = raw.decode("utf-8", "ignore").replace(HALF, "")
    return Piece(text, bool(text) and text.encode() == raw)


def boundaries(
    pieces: Sequence[Piece], text: str, *, cut: bool, hidden: bool = False
) -> list[int | None] | None:
    """After each number of tokens, from none to all, how much of the text is complete.

    None in the list where that is not certain, or lies inside a character or behind a token that
    the text does not show; None in its place where the tokens are not those of the text.

    Args:
        cut: the answer was stopped, maybe inside a character that the text then leaves out.
        hidden: tokens may be among them that the text does not show, such as control tokens.
    """
    ways: list[dict[State, set[State]]] = []
    states: set[State] = {(0, False, False)}
    for piece in pieces:
        ways.append({state: set(_after(state, piece, text, hidden)) for state in states})
        states = set().union(*ways[-1].values())
    fitting = {s for s in states if s[0] == len(text) and (cut or not s[1])}
    if not fitting:
        return None
    found = [_one(fitting, text)]
    for way in reversed(ways):
        fitting = {state for state, nexts in way.items() if nexts & fitting}
        found.append(_one(fitting, text))
    return found[::-1]


def aligned(
    pieces: Sequence[Piece], text: str, *, ended: bool
) -> tuple[int, list[int | None]] | None:
    """How many of the tokens are those of the text, and :func:`boundaries` of them.

    Some endpoints give the token that ends an answer too, which the text does not hold.
    """
    sizes = (len(pieces), len(pieces) - 1) if ended and pieces else (len(pieces),)
    for hidden in (False, True):
        for size in sizes:
            found = boundaries(pieces[:size], text, cut=not ended, hidden=hidden)
            if found is not None:
                return size, found
    return None


def _one(states: set[State], text: str) -> int | None:
    if len(states) > 1:
        return None
    ((position, inside, passed),) = states
    return None if inside or passed or HALF in text[:position] else position


def _after(state: State, piece: Piece, text: str, hidden: bool) -> list[State]:
    """States behind a token: it may end a character, show some, and begin another."""
    position, inside, passed = state
    starts = [position]
    if inside:
        starts = []
        if position < len(text) and not text[position].isascii() and not piece.whole:
            starts.append(position + 1)
        while starts and text[starts[-1] - 1] == HALF == text[starts[-1] : starts[-1] + 1]:
            starts.append(starts[-1] + 1)  # one token's bytes can be shown as several of these
    ends = [start + len(piece.text) for start in starts if text.startswith(piece.text, start)]
    found = [(end, False, passed) for end in ends if piece.text or inside]
    if not piece.whole:
        begun = (end for end in ends if end == len(text) or not text[end].isascii())
        found += [(end, True, passed) for end in begun]
    if not piece.text and inside:
        found.append(state)  # the middle of a character
    elif not piece.text and hidden:
        found.append((position, False, True))
    return found
