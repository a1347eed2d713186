"""A stranger's files: what they hold, or one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from softdiv.errors import PairError
from softdiv.storage.stranger import read_object, read_stored, shards, stored_tensors

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "ids": torch.zeros(4, dtype=torch.long)}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    return tmp_path / "model.safetensors"


def test_the_header_is_read_and_no_weight(weights: Path) -> None:
    found = stored_tensors(weights)
    assert {name: (t.dtype, t.shape, t.numel) for name, t in found.items()} == {
        "a.weight": ("F32", (2, 3), 6),
        "ids": ("I64", (4,), 4),
    }
    assert found["a.weight"].is_float and not found["ids"].is_float
    assert read_stored(found["a.weight"], "a.weight").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (POINTER.encode(), r"is damaged: it is a git-lfs pointer.*git lfs pull"),
        (b"", "is damaged: no safetensors file"),
        (b"\x80\x02}q\x00.", "is damaged: no safetensors file"),  # a pickle
        ((1 << 62).to_bytes(8, "little") + b"{}", "is damaged: no safetensors file"),
        (None, "does not exist"),
    ],
)
def test_damaged_weights(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "model.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PairError, match=message):
        stored_tensors(file)


def test_a_file_cut_short(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(PairError, match=r"model.safetensors is damaged.*download it again"):
        stored_tensors(weights)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "holds list, no object"),
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"a": ' + "9" * 5_000 + "}", "not JSON"),
        (POINTER, "git-lfs pointer"),
        ("\udcff", "not JSON"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PairError, match=rf"config.json is damaged: .*{why}") as caught:
        read_object(file)
    assert "\n" not in str(caught.value)


def test_an_index_names_files_of_its_folder(weights: Path) -> None:
    index = weights.with_name("model.safetensors.index.json")
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": {"a": weights.name, "b": weights.name}})
    )
    assert shards(index) == [weights]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": "pytorch_model.bin"}, "names pytorch_model.bin: .*never a pickle"),
        ({"a": "../m.safetensors"}, "no file of this folder"),
        ({"a": "/etc/passwd"}, "no file of this folder"),
        ({"a": "x/m.safetensors"}, "no file of this folder"),
        ({"a": 3}, "no file of this folder"),
        (
            {"a": "model.safetensors", "b": "no.safetensors"},
            "lacks 1 of its 2 weight files: e.g. no",
        ),
        ([], "has no weight_map"),
    ],
)
def test_an_index_that_names_anything_else(weights: Path, table: object, message: str) -> None:
    index = weights.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    weights.with_name("pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(PairError, match=message):
        shards(index)


def test_an_index_without_metadata(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text('{"weight_map": {}}')
    with pytest.raises(PairError, match="is damaged: it has no metadata"):
        shards(tmp_path / "i.json")
