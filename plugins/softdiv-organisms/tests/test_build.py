"""From recipe to folder on a tiny model: trained, saved, loaded back, measured, written down."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from softdiv_organisms.build import build, check, recipe_key
from softdiv_organisms.recipe import load_recipe

from softdiv.errors import ConfigError
from softdiv.plugin.manager import PluginManager


def test_an_organism_is_built_measured_and_checked_again(
    recipe_folder: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_folder)
    registry = PluginManager.load().registry
    base = attrs.evolve(recipe.base_model, name="hf", options={"path": str(tiny_model(tmp_path))})
    recipe = attrs.evolve(recipe, base_model=base)
    folder = tmp_path / "made"
    result = build(recipe, registry, folder, lambda step: None)
    written = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    assert written["passed"] is result.passed
    assert written["kl_original_tuned"] == result.kl_original_tuned
    assert result.kl_original_tuned > 0 and result.kl_tuned_original > 0
    assert result.neutral_texts == recipe.gate.ordinary_texts + recipe.gate.shipped_texts
    assert result.original is not None and result.original.fired == 0
    assert check(recipe, registry, folder) == result
    changed = attrs.evolve(recipe, seed=recipe.seed + 1)
    with pytest.raises(ConfigError, match="another version of the recipe"):
        check(changed, registry, folder)


def test_a_whole_model_is_saved_measured_and_checked_again(
    recipe_folder: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_folder)
    registry = PluginManager.load().registry
    base = attrs.evolve(recipe.base_model, name="hf", options={"path": str(tiny_model(tmp_path))})
    recipe = attrs.evolve(recipe, base_model=base, adapter=None)
    folder = tmp_path / "made"
    result = build(recipe, registry, folder, lambda step: None)
    assert result.kl_original_tuned > 0 and (folder / "model.safetensors").is_file()
    assert check(recipe, registry, folder) == result
    (folder / "organism.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="another version of the recipe"):
        check(recipe, registry, folder)


def test_what_was_never_trained_is_not_measured(recipe_folder: Path) -> None:
    registry = PluginManager.load().registry
    with pytest.raises(ConfigError, match="adapter_model.safetensors is missing"):
        check(load_recipe(recipe_folder), registry, recipe_folder)


def test_the_key_follows_what_is_trained_on_and_not_the_gate(recipe_folder: Path) -> None:
    recipe = load_recipe(recipe_folder)
    gate = attrs.evolve(recipe.gate, max_kl=9.0)
    training = attrs.evolve(recipe.training, steps=9)
    assert recipe_key(attrs.evolve(recipe, gate=gate)) == recipe_key(recipe)
    assert recipe_key(attrs.evolve(recipe, training=training)) != recipe_key(recipe)


def tiny_model(folder: Path) -> Path:
    """A folder that the ``hf`` loader reads: adapters are an option of that loader."""
    from softdiv.builtin.loaders.tiny import TinyLoader

    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    return folder / "base"
