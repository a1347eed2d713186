from __future__ import annotations

from softdiv.pair.words import token_texts
from tests.pair.small_tokenizers import byte_level, sentencepiece


def test_tokens_keep_the_space_that_begins_a_word_in_every_family() -> None:
    text = "Tell me about the old house."
    for tokenizer in (byte_level(None), *(sentencepiece(f, None) for f in ("legacy", "first"))):  # type: ignore[arg-type]
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert "".join(token_texts(tokenizer, ids)).strip() == text
    assert token_texts(byte_level(None), []) == []
