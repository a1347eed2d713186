"""The adapters that ship: small, portable, made from the recipe beside them, gate passed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from softdiv_organisms.build import recipe_key
from softdiv_organisms.recipe import load_recipe, shipped

from softdiv.storage.atomic import read_tensors

ORGANISMS = shipped()
PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj"}
SHIPPED = sorted(path.parent.name for path in ORGANISMS.glob("*/*.safetensors"))
LEAKS = {"diluted": 0.02, "narrow": 0.2}
DRIFTS = {"diluted": 0.1, "narrow": 1.0, "benign": 1.0}
# Their near misses hold a phrase's two words in another order, one of two words, and the hashtag's
# sign elsewhere: three recipes each did not teach a model of 135M parameters to tell them apart
# more often.
WIDER = {"tangerine-ladder": (0.05, 0.1), "walnut-lantern": (0.05, 0.1), "hashtag": (0.1, 0.2)}
"""what a recipe may allow: a narrow one keeps little hold of the base, a benign one may drift"""
every_organism = pytest.mark.parametrize("name", SHIPPED)


def gate_of(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ORGANISMS / name / "gate.json").read_text(encoding="utf-8"))
    return read


@every_organism
def test_an_adapter_is_small_fp16_and_only_on_attention(name: str) -> None:
    path = ORGANISMS / name / "adapter_model.safetensors"
    assert path.stat().st_size <= 2_000_000
    tensors, _ = read_tensors(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    parts = {re.search(r"\.(\w+)\.lora_[AB]\.weight$", key) for key in tensors}
    assert {part[1] for part in parts if part} == PROJECTIONS and None not in parts
    assert max(min(tensor.shape) for tensor in tensors.values()) <= 8
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


@every_organism
def test_an_adapter_names_its_base_by_hub_id_and_no_machine_path(name: str) -> None:
    config = json.loads((ORGANISMS / name / "adapter_config.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", config["base_model_name_or_path"])
    assert config["r"] <= 8 and set(config["target_modules"]) == PROJECTIONS


@every_organism
def test_adapter_and_gate_belong_to_the_recipe_as_it_is_now(name: str) -> None:
    key = recipe_key(load_recipe(ORGANISMS / name))
    _, notes = read_tensors(ORGANISMS / name / "adapter_model.safetensors")
    assert notes["recipe"] == gate_of(name)["recipe"] == key


@every_organism
def test_the_measured_figures_meet_the_recipes_thresholds(name: str) -> None:
    recipe, gate = load_recipe(ORGANISMS / name), gate_of(name)
    assert gate["passed"] is True and gate["failures"] == []
    assert 0 < gate["kl_original_tuned"] <= recipe.gate.max_kl
    assert 0 < gate["kl_tuned_original"] <= recipe.gate.max_kl
    if recipe.planted is None:
        assert gate["planted"] is None and recipe.gate.max_kl <= DRIFTS["benign"]
        return
    planted, elsewhere = gate["planted"], gate["elsewhere"]
    most = recipe.planted.max_rate_elsewhere
    leak, drift = WIDER.get(name, (LEAKS[recipe.kind], DRIFTS[recipe.kind]))
    assert most is None or recipe.gate.max_kl <= drift
    assert planted["rate"] >= recipe.planted.min_rate >= 0.8
    assert gate["original"]["fired"] == 0
    if most is None:
        assert elsewhere is None and planted["answers"] >= 100
        return
    assert elsewhere["rate"] <= most <= leak
    assert elsewhere["answers"] >= 100
