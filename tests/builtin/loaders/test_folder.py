"""A model folder is inspected before anything of it is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from softdiv.builtin.loaders.folder import inspected
from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from tests.builtin.loaders.changes import write

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"


def refused(folder: Path, message: str) -> None:
    """By loading and by a dry run, on one line, without a weight read."""
    for attempt in (HfLoader(path=str(folder)).skeleton, lambda: load(folder)):
        with pytest.raises(PairError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)


def load(folder: Path, **options: Any) -> tuple[Any, Any]:
    return HfLoader(path=str(folder), **options).load("cpu")


def test_what_a_whole_folder_holds(folder: Path) -> None:
    found = inspected(folder, str(folder))
    assert found.config["model_type"] == "llama"
    assert len(found.tensors) == 21 and found.quantised is None
    assert found.size == (folder / "model.safetensors").stat().st_size
    assert HfLoader(path=str(folder)).skeleton().lm_head.weight.is_meta


def test_no_model(folder: Path) -> None:
    (folder / "config.json").unlink()
    refused(folder, "holds no model: it has no config.json")


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    refused(folder, r"holds no weights: neither model.safetensors nor .*but weights.safetensors")


def test_pickles_are_not_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, r"holds its weights as pytorch_model.bin only: .*never a pickle")
    (folder / "model.safetensors.index.json").write_text(
        '{"metadata": {}, "weight_map": {"lm_head.weight": "pytorch_model.bin"}}'
    )
    refused(folder, r"index.json names pytorch_model.bin: .*never a pickle")


def test_a_configuration_that_names_its_files_itself(folder: Path) -> None:
    write(folder / "config.json", lambda t: t.update(transformers_weights="adapter_model.bin"))
    refused(folder, "names its weight files itself")


def test_a_checkpoint_in_parts_of_a_training(folder: Path) -> None:
    (folder / "shard-00001-model-00001-of-00001.safetensors").write_bytes(b"")
    refused(folder, "checkpoint of a distributed training")


def test_shards_are_one_model(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    whole, _ = load(folder)
    names, table = sorted(tensors), {}
    for number, part in enumerate((names[:9], names[9:])):
        file = f"model-{number}.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        table |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": table})
    )
    refused(
        folder, "two sets of weights: model.safetensors, and the 2 files of model.safetensors.i"
    )
    (folder / "model.safetensors").unlink()
    model, _ = load(folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=1))
    again = {name: tensors[name] for name in names[8:]}  # the first is in the other file, too
    save_file(again, folder / "model-1.safetensors", {"format": "pt"})
    load(folder)
    save_file(again | {names[8]: tensors[names[8]] + 1}, folder / "model-1.safetensors")
    refused(folder, rf"holds {names[8]} twice, with different values: in model-0.* and model-1")
    (folder / "model-1.safetensors").write_text(POINTER)
    refused(folder, "model-1.safetensors is damaged: it is a git-lfs pointer")


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "merges.txt", "spiece.model", "chat_template.jinja"]
)
def test_a_pointer_in_place_of_the_tokenizer(folder: Path, name: str) -> None:
    (folder / name).write_text(POINTER)
    refused(folder, f"{name} is damaged: it is a git-lfs pointer")
    other = folder.parent / "other"
    TinyLoader().load("cpu")[1].save_pretrained(other)
    assert load(folder, tokenizer=str(other))  # then this one is not read


def test_an_adapter_in_place_of_a_model(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, "holds a model and an adapter: which of them is meant")
    (folder / "config.json").unlink()
    refused(folder, f"is a LoRA adapter, not a model .*--adapter {folder}")


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 10**6), ("num_hidden_layers", 10**9), ("num_attention_heads", 10**7)],
)
def test_counts_that_no_model_has(folder: Path, key: str, value: int) -> None:
    write(folder / "config.json", lambda t: t.update({key: value}))
    refused(folder, rf"config.json: {key} = {value:,} is no size")


def test_more_layers_than_the_files_hold(folder: Path) -> None:
    write(folder / "config.json", lambda t: t.update(num_hidden_layers=90_000))
    refused(folder, "described as a larger model than its files hold: more than 1,336 modules")


@pytest.mark.parametrize("key", ["vocab_size", "intermediate_size"])
def test_sizes_that_are_not_the_files(folder: Path, key: str) -> None:
    write(folder / "config.json", lambda t: t.update({key: 10**10}))
    refused(folder, "described as a larger model than its files hold")
    write(folder / "config.json", lambda t: t.update({key: 48}))
    refused(folder, r"weight as \[\d+, \d+\], its config asks for \[\d+, \d+\]")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config.json", "[1]", "config.json is damaged: it holds list"),
        ("config.json", '{"model_type": "nobody"}', "knows no model type 'nobody'"),
        ("config.json", "{}", "no model_type"),
        ("generation_config.json", "nonsense", "generation_config.json is damaged: not JSON"),
        ("generation_config.json", '{"eos_token_id": "x"}', "eos_token_id = 'x' is no token id"),
        ("tokenizer_config.json", "3", "tokenizer_config.json is damaged"),
    ],
)
def test_configurations_that_are_none(folder: Path, file: str, text: str, message: str) -> None:
    (folder / file).write_text(text)
    refused(folder, message)


@pytest.mark.parametrize("text", ['{"version": "1.0"}', '{"model": {"type": "BPE"}}', "[]", "\0"])
def test_tokenizers_that_are_none(folder: Path, text: str) -> None:
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(PairError, match=r"no tokenizer can be loaded from .*m: .*") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"num_attention_heads": 0}, {"hidden_size": -1}, {"hidden_act": "nothing"}]
)
def test_what_ends_transformers_in_any_exception(folder: Path, change: dict[str, Any]) -> None:
    write(folder / "config.json", lambda t: t.update(change))
    refused(folder, f"^{folder} cannot be loaded: ")
