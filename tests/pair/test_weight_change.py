from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.lora import attach_adapter
from softdiv.pair.manager import ModelPair
from softdiv.pair.weight_change import RANK, matrix_changes
from tests.conftest import MakePair
from tests.pair.adapters import base, lora, make


def reads(change: Any, model_2: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lengths as found, and of the difference of the two maps' own outputs in float64."""
    one = change.module.double()
    two = model_2.double()
    with torch.no_grad():
        zero = torch.zeros_like(x).double()
        whole = (two(x.double()) - two(zero)) - (one(x.double()) - one(zero))
    return (x @ change.rows.float().T).norm(dim=-1).double(), whole.norm(dim=-1)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_lengths_are_those_of_the_whole_difference(
    architecture: Literal["llama", "gpt2", "qwen2"], make_pair: MakePair
) -> None:
    pair = make_pair(architecture=architecture)
    changes = list(matrix_changes(pair))
    layers = pair.model_2.model.base_model
    layers = layers.h if architecture == "gpt2" else layers.layers
    assert {c.layer for c in changes} == {0, 1}
    assert len(changes) == 2 * (4 if architecture == "gpt2" else 7)
    for change in changes:
        x = torch.randn(5, change.rows.shape[1])
        found, whole = reads(change, layers[change.layer].get_submodule(change.name), x)
        assert torch.allclose(found, whole, rtol=1e-3)


def test_an_adapter_is_as_few_rows_as_its_rank(tmp_path: Path) -> None:
    folder = make(tmp_path, lora(target_modules=["k_proj", "gate_proj"], layers_to_transform=[1]))
    adapted = attach_adapter(base(), str(folder))
    _, tokenizer = TinyLoader().load("cpu")
    pair = ModelPair.of(base(), adapted, tokenizer)
    changes = list(matrix_changes(pair))
    assert [(c.layer, c.name, len(c.rows)) for c in changes] == [
        (1, "self_attn.k_proj", 4),
        (1, "mlp.gate_proj", 4),
    ]
    for change in changes:
        x = torch.randn(5, 32)
        two = adapted.model.layers[1].get_submodule(change.name)
        assert torch.allclose(*reads(change, two, x), rtol=1e-3)


def test_a_difference_of_many_ranks_is_kept_whole(make_pair: MakePair) -> None:
    pair = make_pair(hidden_size=2 * RANK)
    query = next(c for c in matrix_changes(pair) if c.name == "self_attn.q_proj")
    assert query.rows.shape == (2 * RANK, 2 * RANK)


def test_sixteen_bits_do_not_round_a_small_difference_off(tmp_path: Path) -> None:
    """The adapter adds less to each weight than bf16 can tell beside it."""
    options = lora(target_modules=["k_proj"], layers_to_transform=[1], lora_alpha=0.04)
    folder = make(tmp_path, options)
    adapted = attach_adapter(base().bfloat16(), str(folder))
    pair = ModelPair.of(base().bfloat16(), adapted, TinyLoader().load("cpu")[1])
    (change,) = matrix_changes(pair)
    first, second = (
        tensor for _, tensor in sorted(load_file(folder / "adapter_model.safetensors").items())
    )
    x = torch.randn(5, 32)
    whole = (x @ (0.01 * second @ first).T).norm(dim=-1)
    found = (x @ change.rows.float().T).norm(dim=-1)
    assert torch.allclose(found, whole, atol=0.01 * float(whole.max()))  # the rows' own bf16


def test_equal_models_differ_nowhere(make_pair: MakePair) -> None:
    assert list(matrix_changes(make_pair(noise=0.0))) == []


def test_models_of_other_layers_are_refused() -> None:
    model_1, tokenizer = TinyLoader(layers=2).load("cpu")
    model_2, _ = TinyLoader(architecture="gpt2").load("cpu")
    with pytest.raises(PairError, match="do not have the same matrices"):
        list(matrix_changes(ModelPair.of(model_1, model_2, tokenizer)))
