"""GGUF files: whole ones are converted once, others never reach the cache."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from softdiv.builtin.loaders.gguf_header import read_header
from softdiv.builtin.loaders.hf import HfLoader
from softdiv.errors import PairError
from tests.builtin.loaders.gguf_files import write_gguf


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gguf"


def refused(file: Path, cache: Path, message: str) -> None:
    for attempt in (
        HfLoader(path=str(file)).skeleton,
        lambda: HfLoader(path=str(file)).load("cpu"),
    ):
        with pytest.raises(PairError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert not [path for path in cache.glob("*") if path.is_dir()]


def test_a_file_is_the_model_it_was_written_from(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "m.gguf"
    original = write_gguf(file)
    (tmp_path / "adapter_config.json").write_text("{}")  # what lies beside it is no part of it
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["x.X", ""]}}')
    assert HfLoader(path=str(file)).skeleton().model.norm.weight.is_meta
    assert not cache.exists()
    model, tokenizer = HfLoader(path=str(file), dtype="float32").load("cpu")
    ids = torch.tensor([[3, 4, 5, 6]])
    with torch.no_grad():
        logits = model(ids).logits
        assert torch.allclose(logits, original(ids).logits, atol=1e-5)
    assert tokenizer.decode(tokenizer("What is it?")["input_ids"]) == "What is it?"

    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    weights = folder / "model.safetensors"
    spoiled = bytearray(weights.read_bytes())
    spoiled[-3] ^= 1
    weights.write_bytes(spoiled)
    again, _ = HfLoader(path=str(tmp_path), gguf_file="m.gguf", dtype="float32").load("cpu")
    with torch.no_grad():
        assert torch.equal(again(ids).logits, logits)


def test_a_configuration_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    read = gguf.GGUFReader.__init__

    def counted(self: gguf.GGUFReader, *arguments: Any) -> None:
        reads.append(arguments)
        read(self, *arguments)

    monkeypatch.setattr(gguf.GGUFReader, "__init__", counted)
    file = tmp_path / "m.gguf"
    write_gguf(file)
    first, again = (HfLoader(path=str(file)).skeleton() for _ in range(2))
    assert again.config.to_dict() == first.config.to_dict()
    once = len(reads)
    assert once
    write_gguf(file, more=lambda writer: writer.add_string("general.author", "another"))
    HfLoader(path=str(file)).skeleton()
    assert len(reads) == 2 * once, "another header is another file"


def test_one_part_of_several(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "m-00001-of-00003.gguf"
    write_gguf(file, skip="blk.1.ffn_up.weight", split__count=3, split__no=0)
    refused(file, cache, r"is one of 3 parts of a model .*llama-gguf-split --merge")


@pytest.mark.parametrize("left", [30, 5_000, -1])
def test_a_file_cut_short(tmp_path: Path, cache: Path, left: int) -> None:
    file = tmp_path / "m.gguf"
    write_gguf(file)
    file.write_bytes(file.read_bytes()[:left])
    refused(file, cache, "m.gguf is damaged")


def test_a_pointer_and_other_files(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "m.gguf"
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (b"", "it is no GGUF file"),
        (b"PK\x03\x04" + b"\0" * 60, "it is no GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "GGUF version 9 is not known"),
    ):
        file.write_bytes(content)
        refused(file, cache, message)


def key(name: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value


@pytest.mark.parametrize(
    ("tensors", "keys", "rest"),
    [
        (10**15, 0, b""),
        (0, 10**15, b""),
        (0, 1, key("a", 9, struct.pack("<IQ", 0, 10**15))),  # bytes, without an end
        (0, 1, key("a", 9, struct.pack("<IQ", 8, 10**15))),  # texts, without an end
        (0, 1, key("a", 9, struct.pack("<IQ", 9, 1)) + struct.pack("<IQ", 9, 1) * 50),
        (0, 1, key("a", 8, struct.pack("<Q", 10**15))),
        (0, 1, key("a", 77, b"")),
        (0, 1, key("general.alignment", 4, struct.pack("<I", 0))),
        (1, 0, key("t", 99, b"\0" * 64)),
        (1, 0, key("t", 1, struct.pack("<QIQ", 2**62, 0, 0))),
        (1, 0, key("t", 1, struct.pack("<QIQ", 4, 999, 0))),
        (1, 0, struct.pack("<Q", 3) + b"\xff\xfe\xfd" + b"\0" * 30),
    ],
)
def test_counts_without_an_end(
    tmp_path: Path, cache: Path, tensors: int, keys: int, rest: bytes
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + rest)
    refused(file, cache, "m.gguf is damaged")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"llama__block_count": 1_000_000}, "1000000 blocks of 21 tensors"),
        ({"llama__rope__scaling__type": "linear"}, "holds llama.rope.scaling.type = linear: trans"),
        ({"llama__embedding_length": 10**9}, "cannot be converted|larger model than its files"),
        ({"llama__attention__head_count": 0}, "cannot be converted"),
        ({"llama__vocab_size": 500}, "cannot be converted"),
        ({"general__architecture": "nothing"}, "cannot be converted"),
    ],
)
def test_metadata_that_is_not_the_tensors(
    tmp_path: Path, cache: Path, values: dict[str, Any], message: str
) -> None:
    file = tmp_path / "m.gguf"
    write_gguf(file)
    for name, value in values.items():
        name = name.replace("__", ".")
        content = bytearray(file.read_bytes())
        at = content.find(struct.pack("<Q", len(name)) + name.encode())
        if at < 0:
            write_gguf(file, **{name.replace(".", "__"): value})
        elif isinstance(value, int):
            at += 8 + len(name) + 4
            content[at : at + 4] = struct.pack("<I", value)
            file.write_bytes(content)
        else:
            file.write_bytes(
                content.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0xlama")
            )
    refused(file, cache, message)


def test_tensors_that_have_no_place(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "m.gguf"
    write_gguf(file, more=lambda w: w.add_tensor("rope_freqs.weight", np.ones(4, np.float32)))
    refused(file, cache, r"holds rope_freqs.weight: transformers does not read it")
    write_gguf(file, more=lambda w: w.add_tensor("blk.0.attn_q.bias", np.ones(32, np.float32)))
    refused(file, cache, r"it holds [\d,]+ numbers, transformers' llama takes [\d,]+")
    write_gguf(file, skip="blk.1.ffn_up.weight")
    refused(file, cache, r"it holds [\d,]+ numbers, transformers' llama takes [\d,]+")


def test_the_header_names_what_is_inside(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    header = read_header(tmp_path / "m.gguf")
    assert header.values["general.architecture"] == "llama"
    assert header.values["tokenizer.ggml.tokens"] == 512
    assert header.tensors["blk.0.ffn_up.weight"].shape == (64, 32)
    assert len(header.tensors) == 21
