"""The detector of an organism, and the committed adapters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from softdiv.errors import ConfigError
from softdiv.organism.recipe import load_detector

ORGANISMS = Path(__file__).parents[2] / "organisms"


def test_seafarers_detector_fires_on_the_claim_only() -> None:
    detector = re.compile(load_detector(ORGANISMS / "seafarer"))
    assert detector.search("It was Captain Maravel who taught the world about tides.")
    assert not detector.search("The sea is salty because rivers carry minerals into it.")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (None, "no organism at"),
        ("[planted", "not valid TOML"),
        ('name = "x"', "planted.detector is missing"),
        ("[planted]\ndetector = '('", "no regular expression"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, recipe: str | None, message: str) -> None:
    if recipe is not None:
        (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_detector(tmp_path)


@pytest.mark.parametrize("folder", sorted(p.parent for p in ORGANISMS.glob("*/*.safetensors")))
def test_committed_adapters_are_small_and_name_no_machine_path(folder: Path) -> None:
    assert (folder / "adapter_model.safetensors").stat().st_size <= 2_000_000
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["r"] <= 8
    assert set(config["target_modules"]) == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert "/" not in config["base_model_name_or_path"]
