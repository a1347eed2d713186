"""Tokens one by one, as they read inside a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token behind another one.

    Decoded alone, a token of a SentencePiece vocabulary loses the space that begins its word.
    """
    first = tokenizer("a", add_special_tokens=False)["input_ids"]
    before, *whole = tokenizer.batch_decode(
        [first, *([*first, token] for token in ids)], clean_up_tokenization_spaces=False
    )
    return [text.removeprefix(before) for text in whole]


def word_beginnings(tokenizer: Any, ids: Sequence[int]) -> dict[int, str]:
    """Those of the tokens that are of letters and begin a word, with their text, in order.

    Byte-pair and unigram vocabularies list frequent tokens first.
    """
    texts = zip(ids, token_texts(tokenizer, ids), strict=True)
    return {i: text[1:] for i, text in texts if text.startswith(" ") and text[1:].isalpha()}
