"""A tiny model folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    return tmp_path / "m"
