"""Every tensor of the files has a place or is named, and every place its tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv.builtin.loaders.complete import unplaced
from softdiv.builtin.loaders.folder import inspected
from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from tests.builtin.loaders.changes import store, write

LAYER = "model.layers.0.self_attn"


def notes(folder: Path) -> list[str]:
    loader = HfLoader(path=str(folder))
    loader.load("cpu")
    return loader.notes


def add(folder: Path, **tensors: Tensor) -> None:
    store(folder, lambda held: held.update({k.replace("__", "."): t for k, t in tensors.items()}))


def test_a_whole_model_has_no_notes(folder: Path) -> None:
    assert notes(folder) == []


@pytest.mark.parametrize("name", [f"{LAYER}.q_proj.bias", "model.layers.2.mlp.up_proj.weight", "x"])
def test_tensors_that_carry_weights_and_have_no_place(folder: Path, name: str) -> None:
    store(folder, lambda held: held.update({name: torch.full((32,), 1e-3)}))
    with pytest.raises(PairError, match=rf"holds 1 tensors that its config .*, e\.g\. {name}: "):
        notes(folder)


def test_biases_of_zeros_change_nothing_and_are_named(folder: Path) -> None:
    store(folder, lambda held: held.update({f"{LAYER}.q_proj.bias": torch.zeros(32)}))
    assert notes(folder) == [f"1 tensors of the file are not used, e.g. {LAYER}.q_proj.bias"]
    store(folder, lambda held: held.update({f"{LAYER}.q_proj.weight2": torch.zeros(32, 32)}))
    with pytest.raises(PairError, match="weight2"):  # zeros of a weight: what was it for?
        notes(folder)


def test_buffers_of_older_versions(folder: Path) -> None:
    rotary = 1 / 10_000 ** (torch.arange(0, 8, 2) / 8)
    old = {
        f"{LAYER}.rotary_emb.inv_freq": rotary.bfloat16(),
        f"{LAYER}.masked_bias": torch.tensor(-1e4),
        f"{LAYER}.bias": torch.ones(1, 1, 16, 16).tril(),
        "model.embeddings.position_ids": torch.arange(16)[None],
    }
    store(folder, lambda held: held.update(old))
    said = notes(folder)
    assert len(said) == 1 and said[0].endswith(f"{LAYER}.bias")  # the mask is named, no more
    store(folder, lambda held: held.update({f"{LAYER}.rotary_emb.inv_freq": rotary / 2}))
    assert any("rope_theta" in line for line in notes(folder))


def test_a_value_head_is_beside_the_language_model(folder: Path) -> None:
    store(folder, lambda held: held.update({"v_head.summary.weight": torch.ones(1, 32)}))
    assert notes(folder) == ["1 tensors of the file are not used, e.g. v_head.summary.weight"]


def test_what_an_architecture_leaves_out_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "_keys_to_ignore_on_load_unexpected", [r"^mtp\."])
    store(folder, lambda held: held.update({"mtp.layer.weight": torch.ones(2)}))
    said = "1 tensors of the file are not used by this architecture, e.g. mtp.layer.weight"
    assert notes(folder) == [said]


@pytest.mark.parametrize("equal", [True, False])
def test_a_head_stored_beside_the_table_it_is_tied_to(tmp_path: Path, equal: bool) -> None:
    model, tokenizer = TinyLoader(architecture="qwen2").load("cpu")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    head = model.lm_head.weight.detach() * (1 if equal else 2)
    store(tmp_path, lambda held: held.update({"lm_head.weight": head}))
    loader = HfLoader(path=str(tmp_path))
    loaded, _ = loader.load("cpu")
    assert torch.equal(loaded.lm_head.weight, head)  # as the file has it, either way
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == equal
    assert loader.notes == []


def test_what_has_no_place_is_known_by_name_too(folder: Path) -> None:
    """As it must be where the layers are spread over ranks."""
    store(folder, lambda held: held.update({f"{LAYER}.q_proj.bias": torch.ones(32)}))
    model = TinyLoader().load("cpu")[0]
    assert unplaced(model, inspected(folder)) == {f"{LAYER}.q_proj.bias"}


def test_a_tensor_that_is_missing(folder: Path) -> None:
    store(folder, lambda held: held.pop(f"{LAYER}.q_proj.weight"))
    with pytest.raises(PairError, match=rf"lacks 1 of its config's tensors, e\.g\. {LAYER}.q_proj"):
        notes(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool])
def test_numbers_that_are_no_floats(folder: Path, dtype: torch.dtype) -> None:
    name = f"{LAYER}.q_proj.weight"
    store(folder, lambda held: held.update({name: held[name].to(dtype)}))
    for attempt in (HfLoader(path=str(folder)).skeleton, lambda: notes(folder)):
        with pytest.raises(PairError, match=rf"holds {name} as \w+, not as floating point"):
            attempt()


def test_another_precision_is_taken(folder: Path) -> None:
    def half(held: dict[str, Tensor]) -> None:
        held.update({name: tensor.half() for name, tensor in held.items()})

    store(folder, half)
    assert notes(folder) == []


def test_buffers_beyond_all_memory(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, GPTJConfig

    config = GPTJConfig(n_embd=32, n_layer=1, n_head=4, rotary_dim=4, vocab_size=99)
    model: Any = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path)
    TinyLoader().load("cpu")[1].save_pretrained(tmp_path)
    write(tmp_path / "config.json", lambda table: table.update(n_positions=10**9))
    with pytest.raises(PairError, match="describes a larger model than its files hold"):
        HfLoader(path=str(tmp_path), attn_implementation="eager").load("cpu")
