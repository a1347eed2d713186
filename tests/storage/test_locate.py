"""Files named as other tools write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.errors import RunError
from softdiv.storage.locate import as_jsonl, as_safetensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.safetensors", "b.safetensors", "prompts.jsonl", "real.pt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "best.safetensors").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "found", "notes"),
    [
        (["a.safetensors"], ["a.safetensors"], 0),
        (["a.pt", "b.pt"], ["a.safetensors", "b.safetensors"], 1),
        (["*.pt"], ["a.safetensors", "b.safetensors"], 1),  # a pattern no shell expanded
        (["*.safetensors", "a.pt"], ["a.safetensors", "b.safetensors"], 1),
        (["run"], ["run/checkpoints/best.safetensors"], 0),
    ],
)
def test_soft_prompts(folder: Path, asked: list[str], found: list[str], notes: int) -> None:
    told: list[str] = []
    got = as_safetensors([folder / name for name in asked], told.append)
    assert got == [folder / name for name in found]
    assert len(told) == notes


def test_text_prompts_are_text(folder: Path) -> None:
    told: list[str] = []
    assert as_jsonl(folder / "prompts.pt", told.append) == folder / "prompts.jsonl"
    assert told and "never pickles" in told[0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("real.pt", "is a pickle, and softdiv opens none: loading a pickle runs"),
        ("real*.pt", "is a pickle"),
        ("c.pt", "does not exist"),
        ("aa.safetensors", "did you mean 'a.safetensors'"),
        ("no/such.pt", "does not exist"),
    ],
)
def test_what_is_not_there_or_a_pickle_is_refused(folder: Path, asked: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        as_safetensors(folder / asked, lambda note: None)


def test_no_file_is_no_answer() -> None:
    with pytest.raises(RunError, match="no file is given"):
        as_safetensors([], lambda note: None)
