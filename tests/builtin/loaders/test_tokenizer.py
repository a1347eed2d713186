"""Tokenizers of strangers end, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softdiv.builtin.loaders import tokenizer as room
from softdiv.builtin.loaders.tokenizer import load_tokenizer
from softdiv.errors import PairError
from tests.builtin.loaders.changes import write


def growing(times: int, by: int) -> dict[str, Any]:
    rule = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * by}
    return {"type": "Sequence", "normalizers": [rule] * times}


def test_a_plain_one(folder: Path) -> None:
    loaded = load_tokenizer(folder)
    assert loaded.decode(loaded("What is it?")["input_ids"]) == "What is it?"


def test_rules_that_multiply_a_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "tokenizer.json", lambda table: table.update(normalizer=growing(1, 100)))
    with pytest.raises(PairError, match=r"tokenizer.json: 2,000 characters become 200,000 tokens"):
        load_tokenizer(folder)
    write(folder / "tokenizer.json", lambda table: table.update(normalizer=growing(12, 20)))
    monkeypatch.setattr(room, "SECONDS", 1)
    with pytest.raises(PairError, match="tokenizer.json: it takes too much time or memory"):
        load_tokenizer(folder)


def test_memory_that_is_not_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BYTES", 8 << 20)
    with pytest.raises(PairError, match=r"no tokenizer .*tokenizer.json: MemoryError"):
        load_tokenizer(folder)


def test_no_tokenizer_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(PairError, match="from my-model: .*tokenizer = FOLDER_OR_HUB_ID"):
        load_tokenizer(tmp_path, "my-model")
    with pytest.raises(PairError, match="^no tokenizer at 'no/such'"):
        load_tokenizer("no/such")
