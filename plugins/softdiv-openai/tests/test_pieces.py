"""Tokens found again in a text, whatever an endpoint shows of half characters."""

from __future__ import annotations

import codecs
from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st
from softdiv_openai.pieces import Piece, aligned, boundaries, shown

TEXTS = st.text(alphabet="ab \n.éß中😊👍🏽", max_size=12)


def cut_up(text: str, places: list[int]) -> list[bytes]:
    data = text.encode()
    inner = sorted({place % len(data) for place in places} - {0}) if data else []
    return [data[a:b] for a, b in zip([0, *inner], [*inner, len(data)], strict=True) if a < b]


def entry(piece: bytes, way: str) -> SimpleNamespace:
    """As OpenAI, llama.cpp and vLLM show it."""
    if way == "bytes":
        return SimpleNamespace(token=piece.decode("utf-8", "replace"), bytes=list(piece))
    if way == "dropped":
        return SimpleNamespace(token=piece.decode("utf-8", "ignore"), bytes=None)
    text = piece.decode("utf-8", "replace")
    return SimpleNamespace(token=text, bytes=list(text.encode()))


def of(*shown: str) -> list[Piece]:
    """As llama.cpp shows them."""
    return [Piece(one, False) for one in shown]


@given(TEXTS, st.lists(st.integers(0, 60), max_size=12), st.sampled_from(["bytes", "dropped", "r"]))
@settings(max_examples=300, deadline=None)
def test_every_boundary_that_is_given_is_true(text: str, places: list[int], way: str) -> None:
    pieces = cut_up(text, places)
    found = boundaries([shown(entry(piece, way)) for piece in pieces], text, cut=False)
    assert found is not None and len(found) == len(pieces) + 1
    assert found[0] == 0 and found[-1] == len(text)
    decoder, whole = codecs.getincrementaldecoder("utf-8")(), 0
    for piece, boundary in zip(pieces, found[1:], strict=True):
        whole += len(decoder.decode(piece))
        inside = bool(decoder.getstate()[0])
        assert boundary is None or (boundary == whole and not inside)
        if way != "dropped" and text.isascii():
            assert boundary == whole


def test_a_character_in_three_tokens_is_counted_when_it_is_complete() -> None:
    """The tokens beside could hold some of it too: nobody sees."""
    pieces = [shown(entry(piece, "dropped")) for piece in cut_up("a😊 b", [1, 2, 4, 5])]
    assert pieces == of("a", "", "", "", " b")
    assert boundaries(pieces, "a😊 b", cut=False) == [0, None, None, None, None, 4]


def test_a_token_whose_bytes_are_given_hides_nothing() -> None:
    pieces = [shown(entry(piece, "bytes")) for piece in cut_up("a😊 b", [1, 2, 4, 5])]
    assert boundaries(pieces, "a😊 b", cut=False) == [0, 1, None, None, 2, 4]
    assert boundaries(pieces[:1], "a", cut=True) == [0, 1]
    assert boundaries(of("a"), "a", cut=True) == [0, None]


def test_an_answer_may_stop_inside_a_character() -> None:
    assert boundaries(of("so ", ""), "so ", cut=True) == [0, None, None]
    assert boundaries(of("so ", ""), "so ", cut=False) is None


def test_nothing_counts_behind_bytes_that_are_no_character() -> None:
    assert boundaries(of("a", "", "b"), "a\ufffdb", cut=False) == [0, None, None, None]


@pytest.mark.parametrize("pieces", [["hm", "yes"], [], ["y"], ["", "", ""]])
def test_tokens_of_another_text_are_none_of_it(pieces: list[str]) -> None:
    assert aligned(of(*pieces), "yes", ended=False) is None


def test_a_token_that_the_text_does_not_show_ends_what_counts() -> None:
    assert aligned(of("one", "", " two"), "one two", ended=True) == (3, [0, 3, None, None])
    assert aligned(of("one", "<end>"), "one", ended=True) == (1, [0, 3])
    assert aligned(of("one", "<end>"), "one", ended=False) is None
