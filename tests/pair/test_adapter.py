"""An adapter folder is inspected before peft sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.adapter import opened
from softdiv.pair.lora import attach_adapter
from tests.pair.adapters import base, logits, lora, make

pytestmark = pytest.mark.filterwarnings("ignore")  # peft's, about options it is given here


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return make(tmp_path / "adapter", lora())


def change(adapter: Path, **options: Any) -> str:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | options))
    return str(adapter)


def refused(adapter: object, message: str) -> None:
    with pytest.raises(PairError, match=message) as caught:
        attach_adapter(base(), str(adapter))
    assert "\n" not in str(caught.value)


def test_a_pickled_adapter_is_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    refused(adapter, "holds no adapter_model.safetensors")


def test_a_missing_folder_gets_a_suggestion(adapter: Path) -> None:
    refused(adapter.with_name("adaptre"), "did you mean 'adapter'")


def test_a_file_of_the_adapter_or_nothing_at_all(adapter: Path) -> None:
    refused(adapter / "adapter_model.safetensors", "is a file .give the folder with adapter_config")
    refused("", "the adapter is an empty name")


def test_a_kind_that_is_not_said(adapter: Path) -> None:
    refused(change(adapter, peft_type=None), "does not say what kind of adapter it is")


@pytest.mark.filterwarnings("error:Found missing")
def test_missing_tensors_are_said_once(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors.popitem()
    save_file(tensors, file)
    refused(adapter, "lacks 1 of its tensors")


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda t: t.fill_(torch.nan), "holds NaN or infinity"),
        (lambda t: t.to(torch.int8), "as I8, not as floating point numbers"),
    ],
)
def test_factors_that_are_no_numbers(adapter: Path, spoilt: Any, message: str) -> None:
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    save_file(tensors | {name: spoilt(tensors[name])}, file)
    refused(adapter, message)


def test_a_folder_without_an_adapter(tmp_path: Path) -> None:
    refused(tmp_path, "is no adapter: it has no adapter_config.json")


def test_a_pointer_of_git_lfs(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    refused(adapter, "adapter_model.safetensors is damaged: it is a git-lfs pointer")


def test_a_file_cut_short(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    refused(adapter, "adapter_model.safetensors is damaged: no safetensors file")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peft_type": "NEW_METHOD"}, "is a NEW_METHOD adapter, not a LoRA: peft .* does not know"),
        ({"peft_type": None}, "does not say what kind of adapter"),
        ({"peft_type": 3}, "is a 3 adapter"),
        ({"megatron_config": {"a": 1}, "megatron_core": "evil"}, "imports Megatron"),
        ({"alora_invocation_tokens": [3, 4]}, "acts from certain tokens on"),
        ({"r": 10**9}, "asks for a rank or a layer 1000000000"),
        ({"rank_pattern": {"q_proj": 10**7}}, "asks for a rank or a layer 10000000"),
        ({"layer_replication": [[0, 10**7]]}, "asks for a rank or a layer 10000000"),
        ({"target_modules": "(q_proj"}, "patterns of .*adapter_config.json|cannot be loaded"),
        ({"target_modules": ["no_proj"]}, "has no modules"),
    ],
)
def test_configurations_that_cannot_be_used(
    adapter: Path, options: dict[str, Any], message: str
) -> None:
    refused(change(adapter, **options), message)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": r"(([a-z._0-9])*)*!"},
        {"alpha_pattern": {r"(([a-z._0-9])*)*!": 3}},
    ],
)
def test_patterns_without_an_end(
    adapter: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softdiv.pair.adapter.SECONDS", 0.5)
    refused(change(adapter, **options), "patterns of .* cannot be used: .* takes over 0.5 s")


def test_a_module_named_by_a_stranger_is_not_imported(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    refused(change(adapter, megatron_config={"x": 1}, megatron_core="evil"), "imports Megatron")


def test_other_embeddings_come_with_the_adapter(tmp_path: Path) -> None:
    model = base()
    model.resize_token_embeddings(514, mean_resizing=False)
    import peft

    wrapped = peft.get_peft_model(model, lora(init_lora_weights=False))
    wrapped.save_pretrained(tmp_path / "a", save_embedding_layers=True)
    expected = logits(wrapped.eval())
    mine = attach_adapter(base(), str(tmp_path / "a"))
    assert mine.get_input_embeddings().weight.shape == (514, 32)
    assert torch.allclose(logits(mine), expected, atol=1e-5)
    assert not opened(str(tmp_path / "a")).keeps_base

    file = tmp_path / "a" / "adapter_model.safetensors"
    held = load_file(file)
    save_file({n: t for n, t in held.items() if "lm_head" not in n}, file, {"format": "pt"})
    refused(tmp_path / "a", "brings embeddings of 514 rows: the model has 512 rows in both")


def test_one_table_where_both_are_tied(tmp_path: Path) -> None:
    import peft

    tied = TinyLoader(architecture="qwen2")
    model, _ = tied.load("cpu")
    model.resize_token_embeddings(520, mean_resizing=False)
    wrapped = peft.get_peft_model(model, lora(init_lora_weights=False))
    wrapped.save_pretrained(tmp_path, save_embedding_layers=True)
    mine = attach_adapter(tied.load("cpu")[0], str(tmp_path))
    assert mine.lm_head.weight is mine.model.embed_tokens.weight
    assert torch.allclose(logits(mine), logits(wrapped.eval()), atol=1e-5)
