"""Adapters are applied as peft applies them, whole, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file, save_file

from softdiv.errors import PairError
from softdiv.pair.adapter import opened
from softdiv.pair.lora import attach_adapter
from softdiv.pair.unchanged import fingerprint
from tests.pair.adapters import base, logits, lora, make, plain, sharing

pytestmark = pytest.mark.filterwarnings("ignore")  # peft's, about options it is given here

LORAS: dict[str, dict[str, Any]] = {
    "plain": {},
    "every linear layer": {"target_modules": "all-linear"},
    "a pattern": {"target_modules": r".*\.(q|v)_proj"},
    "some layers": {"layers_to_transform": [1]},
    "all but some": {"target_modules": "all-linear", "exclude_modules": ["down_proj"]},
    "ranks by layer": {"rank_pattern": {"layers.0.self_attn.q_proj": 2}},
    "alphas by layer": {"alpha_pattern": {r".*\.1\..*q_proj": 32}},
    "rank-stabilised": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "bias of all": {"bias": "all", "target_modules": ["q_proj", "o_proj"]},
    "bias of the factors": {"lora_bias": True},
    "gaussian": {"init_lora_weights": "gaussian"},
    "PiSSA": {"init_lora_weights": "pissa"},
    "OLoRA": {"init_lora_weights": "olora"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "embeddings": {"target_modules": ["embed_tokens", "q_proj"]},
    "the head": {"target_modules": ["lm_head"]},
    "whole modules": {"modules_to_save": ["lm_head", "norm"]},
    "trainable tokens": {"trainable_token_indices": [5, 7, 300]},
    "layers twice": {"layer_replication": [[0, 2], [1, 2]]},
}
SHARED = {
    *("plain", "every linear layer", "a pattern", "some layers", "all but some", "gaussian"),
    *("ranks by layer", "alphas by layer", "rank-stabilised", "DoRA", "bias of the factors"),
}
"""Those that leave the base's own tensors as they are."""


@pytest.mark.parametrize("kind", LORAS)
def test_every_lora_agrees_with_peft_and_leaves_a_shared_base_alone(
    tmp_path: Path, kind: str
) -> None:
    folder = make(tmp_path / "a", lora(**LORAS[kind]))
    model_1 = base()
    before, bits = logits(model_1), fingerprint(model_1)
    adapter = opened(str(folder))
    assert adapter.keeps_base == (kind in SHARED)
    mine = attach_adapter(sharing(model_1) if adapter.keeps_base else base(), adapter)
    assert torch.allclose(logits(mine), logits(plain(folder)), atol=1e-5)
    assert not torch.allclose(logits(mine), before, atol=1e-3)
    assert fingerprint(model_1) == bits and torch.equal(logits(model_1), before)


def test_half_precision_and_transposed_layers(tmp_path: Path) -> None:
    folder = make(
        tmp_path / "a", lora(target_modules=["c_attn"], fan_in_fan_out=True), base("gpt2")
    )
    file = folder / "adapter_model.safetensors"
    save_file({n: t.half() for n, t in load_file(file).items()}, file, {"format": "pt"})
    mine = attach_adapter(base("gpt2"), str(folder))
    assert torch.allclose(logits(mine), logits(plain(folder, base("gpt2"))), atol=1e-5)


MORE: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 1, "target_modules": None},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 4},
    "CARTRIDGE": {"num_virtual_tokens": 4, "target_modules": None},
    "CPT": {
        "cpt_token_ids": [1, 2],
        "cpt_mask": [1, 1],
        "cpt_tokens_type_mask": [1, 1],
        "target_modules": None,
    },
    "FOURIERFT": {"n_frequency": 10},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "MISS": {"r": 4},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 4, "num_tasks": 2, "target_modules": None},
    "OFT": {"oft_block_size": 4, "r": 0},
    "P_TUNING": {"encoder_hidden_size": 8, "num_virtual_tokens": 4, "target_modules": None},
    "PREFIX_TUNING": {"num_virtual_tokens": 4, "target_modules": None},
    "PROMPT_TUNING": {"num_virtual_tokens": 4, "target_modules": None},
    "ROAD": {"group_size": 4},
    "SHIRA": {"r": 2},
    "TRAINABLE_TOKENS": {"target_modules": ["embed_tokens"], "token_indices": [4, 5]},
    "VBLORA": {"num_vectors": 8, "vector_length": 4},
    "WAVEFT": {"n_frequency": 16},
    "XLORA": {"hidden_size": 32, "adapters": {}, "target_modules": None},
}
REFUSED = {
    *("CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "PROMPT_TUNING"),
    *("POLY", "SHADOW", "XLORA"),
}


@pytest.mark.parametrize("kind", sorted(kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING))
def test_every_method_of_peft_is_applied_rightly_or_refused_by_name(
    tmp_path: Path, kind: str
) -> None:
    options = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj"]} | MORE.get(kind, {})
    config = PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(kind)]
    options = {key: value for key, value in options.items() if value is not None}
    if kind == "XLORA":  # made of others; its configuration is enough
        make(tmp_path, lora())
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind, **options}))
    else:
        make(tmp_path, config(**options))
    if kind in REFUSED:
        with pytest.raises(PairError, match=kind) as caught:
            attach_adapter(base(), str(tmp_path))
        assert "\n" not in str(caught.value)
        return
    mine = attach_adapter(base(), str(tmp_path))
    assert torch.allclose(logits(mine), logits(plain(tmp_path)), atol=1e-5)
    assert not torch.allclose(logits(mine), logits(base()), atol=1e-4)


def spoil(folder: Path, change: Any) -> str:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    save_file(change(tensors), file, {"format": "pt"})
    return str(folder)


def test_tensors_that_match_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path, lora())
    spoil(folder, lambda held: {f"x.{name}": tensor for name, tensor in held.items()})
    with pytest.raises(PairError, match=r"4 of the 4 tensors .* have no place in this model, e.g."):
        attach_adapter(base(), str(folder))


def test_tensors_of_more_layers_than_the_model_has(tmp_path: Path) -> None:
    def deeper(held: dict[str, Any]) -> dict[str, Any]:
        return {**held, **{n.replace("layers.0", "layers.7"): t.clone() for n, t in held.items()}}

    folder = spoil(make(tmp_path, lora()), deeper)
    with pytest.raises(PairError, match=r"2 of the 6 tensors .* no place.*layers.7"):
        attach_adapter(base(), folder)


def test_a_slot_that_stays_empty(tmp_path: Path) -> None:
    folder = spoil(make(tmp_path, lora()), lambda held: dict(sorted(held.items())[1:]))
    with pytest.raises(PairError, match=r"lacks 1 of its tensors, e.g. .*layers.0.*lora_A"):
        attach_adapter(base(), folder)


@pytest.mark.parametrize("factor", ["lora_A", "lora_B"])
def test_an_adapter_that_changes_nothing(tmp_path: Path, factor: str) -> None:
    def silent(held: dict[str, Any]) -> dict[str, Any]:
        return {name: t * (0 if factor in name else 1) for name, t in held.items()}

    folder = spoil(make(tmp_path, lora()), silent)
    with pytest.raises(PairError, match="changes nothing: .*was it trained"):
        attach_adapter(base(), folder)


def test_an_adapter_of_another_model(tmp_path: Path) -> None:
    from softdiv.builtin.loaders.tiny import TinyLoader

    folder = str(make(tmp_path, lora()))
    wider = TinyLoader(hidden_size=48).load("cpu")[0]
    with pytest.raises(PairError, match=r"q_proj.lora_\S+ is \[4, 32\] in the file and \[4, 48\]"):
        attach_adapter(wider, folder)
    with pytest.raises(PairError, match="this model has no modules"):
        attach_adapter(base("gpt2"), folder)


def test_options_of_a_later_peft(tmp_path: Path) -> None:
    folder = make(tmp_path, lora())
    file = folder / "adapter_config.json"
    table = json.loads(file.read_text())
    file.write_text(json.dumps(table | {"use_later": False, "later_config": None}))
    assert attach_adapter(base(), str(folder))
    file.write_text(json.dumps(table | {"use_later": True}))
    with pytest.raises(PairError, match="options that peft .* does not know: use_later"):
        attach_adapter(base(), str(folder))


def test_what_acts_outside_the_layers_is_seen_by_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_forward = peft.PeftModelForCausalLM.forward

    def forward(self: Any, *args: Any, **options: Any) -> Any:
        found = plain_forward(self, *args, **options)
        found.logits = found.logits + 1
        return found

    monkeypatch.setattr(peft.PeftModelForCausalLM, "forward", forward)
    with pytest.raises(PairError, match="is a LORA adapter.*acts outside the model's layers"):
        attach_adapter(base(), str(make(tmp_path, lora())))
