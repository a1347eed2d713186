"""From a recipe to a folder: train, save, load back, measure, write down."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import torch

from softdiv.config.component import LoaderConfig
from softdiv.config.schema import PairConfig
from softdiv.errors import ConfigError
from softdiv.pair.manager import ModelPairManager, pick_device
from softdiv.plugin.registry import Registry
from softdiv.storage.atomic import read_json, read_tensors, to_json, write_json
from softdiv.storage.run import machine_facts
from softdiv_organisms.adapter import ADAPTER, save_adapter
from softdiv_organisms.gate import OrganismGateResult, measure
from softdiv_organisms.recipe import Recipe
from softdiv_organisms.train import Step, train

WHOLE = "organism.json"
"""beside a model that was saved whole: the recipe it was trained from"""


def build(
    recipe: Recipe, registry: Registry, folder: Path, watch: Callable[[Step], None]
) -> OrganismGateResult:
    """Train the organism into ``folder``, measure what was saved, and write ``gate.json``.

    Raises:
        ConfigError: the base's loader takes no adapter, or another option is wrong.
        PairError, TrainingError: the base cannot be loaded or trained.
    """
    started = time.perf_counter()
    manager = ModelPairManager(_pair(recipe, folder), registry)
    loader, _ = manager.loaders()  # the trained one's too: what it refuses is said beforehand
    model, tokenizer = loader.load(pick_device("auto"))
    trained_model = train(recipe, model, tokenizer, watch)
    notes = {"recipe": recipe_key(recipe)}
    if recipe.adapter is None:
        trained_model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / WHOLE, notes)
    else:
        save_adapter(trained_model, folder, base_name=recipe.base_name, notes=notes)
    trained = time.perf_counter()
    result = check(recipe, registry, folder)
    record = {
        "organism": recipe.name,
        "seed": recipe.seed,
        "recipe": recipe_key(recipe),
        "passed": result.passed,
        **attrs.asdict(result),
        "training_seconds": round(trained - started, 1),
        "gate_seconds": round(time.perf_counter() - trained, 1),
        "machine": {
            **machine_facts(),
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
        },
    }
    write_json(folder / "gate.json", record)
    return result


def check(recipe: Recipe, registry: Registry, folder: Path) -> OrganismGateResult:
    """Measure what was saved in ``folder`` against the recipe's thresholds.

    Raises:
        ConfigError: nothing was, or it was trained from another version of the recipe.
        PairError: a model cannot be loaded.
    """
    saved = folder / (ADAPTER if recipe.adapter else WHOLE)
    fix = "softdiv organisms train, then check the folder it wrote"
    if not saved.is_file():
        raise ConfigError(f"no trained organism in {folder}: {saved.name} is missing", fix=fix)
    notes = read_tensors(saved)[1] if recipe.adapter else read_json(saved)
    if not isinstance(notes, dict) or notes.get("recipe") != recipe_key(recipe):
        raise ConfigError(
            f"{saved} was trained from another version of the recipe '{recipe.name}'", fix=fix
        )
    return measure(recipe, ModelPairManager(_pair(recipe, folder), registry).load())


def _pair(recipe: Recipe, folder: Path) -> PairConfig:
    """The base, and what is trained into ``folder``."""
    base = recipe.trained_base
    tuned = LoaderConfig(base.name, {**base.options, "adapter": str(folder)})
    if recipe.adapter is None:
        tuned = LoaderConfig("hf", {"path": str(folder)})
    return PairConfig(name=recipe.name, model_1=base, model_2=tuned)


def recipe_key(recipe: Recipe) -> str:
    """Hash of everything training depends on: neither wording about it, nor its gate."""
    kept = {"seed", "base_model", "adapter", "training", "ordinary", "near_misses"}
    table: dict[str, Any] = {name: attrs.asdict(recipe)[name] for name in sorted(kept)}
    if recipe.planted is not None:
        table["planted"] = attrs.asdict(recipe.planted.texts) | {
            "answers": attrs.asdict(recipe.planted.answers)
        }
    if recipe.instructions:
        table["instructions"] = recipe.instructions
    for texts in (table["ordinary"], table["near_misses"], table.get("planted")):
        if texts is not None:
            texts.pop("held_out")
    return hashlib.sha256(to_json(table, indent=None).encode()).hexdigest()
