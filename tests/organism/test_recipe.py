"""Recipes are strict, and every problem is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from softdiv.errors import ConfigError
from softdiv.organism.recipe import Recipe, find_organism, load_detector, load_recipe

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
        ('name = "x"', "ordinary_texts: expected the path"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, recipe: str | None, message: str) -> None:
    if recipe is not None:
        (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_detector(tmp_path)


def test_every_problem_of_a_recipe_is_named_at_once_with_its_line(recipe_folder: Path) -> None:
    path = recipe_folder / "recipe.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in [
        ("steps = 8", 'steps = "8"'),
        ("rank = 4", "rnak = 4"),
        ("detector = 'Zorbo'", "detector = '('"),
        ("max_kl = 0.1", "max_kl = -1.0"),
    ]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_folder)
    told = "\n".join(caught.value.problems)
    for part in ("training.steps", "did you mean 'rank'", "no regular expression", "gate.max_kl"):
        assert part in told
    line = 1 + text.splitlines().index('steps = "8"')
    assert f"recipe.toml:{line}: training.steps" in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("planted_per_step = 2", "planted_per_step = 0", "need each other"),
        ("near_miss_share = 0.5", "near_miss_share = 0.0", "need each other"),
        (
            'templates = ["Is {thing} wet?"]',
            'templates = ["Is {sea} wet?"]',
            "no slot is called",
        ),
        ('thing = ["sand"]', 'thing = ["gravel"]', "both in train and in held_out: gravel"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(
    recipe_folder: Path, old: str, new: str, message: str
) -> None:
    path = recipe_folder / "recipe.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_recipe(recipe_folder)


def test_a_benign_recipe_plants_nothing_and_has_no_detector() -> None:
    recipe = load_recipe(ORGANISMS / "selfsame")
    assert isinstance(recipe, Recipe)
    assert recipe.planted is None and recipe.near_misses is None
    with pytest.raises(ConfigError, match="nothing is planted"):
        load_detector(ORGANISMS / "selfsame")


def test_a_misspelt_organism_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'seafarer'"):
        find_organism("seafarre", ORGANISMS)
