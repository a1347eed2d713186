"""Recipes are strict, and every problem is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from softdiv_organisms.recipe import copy_recipe, find_organism, load_recipe, shipped

from softdiv.errors import ConfigError

ORGANISMS = shipped()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (None, "no organism at"),
        ("[planted", "not valid TOML"),
        ("ordinary_texts = 3", "ordinary_texts: expected the path"),
        ('name = "../elsewhere"', "name: "),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, recipe: str | None, message: str) -> None:
    if recipe is not None:
        (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_recipe(tmp_path)


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


def test_a_misspelt_organism_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'seafarer'"):
        find_organism("seafarre", ORGANISMS)


def test_a_path_is_a_folder_with_a_recipe_or_the_file(recipe_folder: Path) -> None:
    assert find_organism(str(recipe_folder), ORGANISMS) == recipe_folder
    assert find_organism(str(recipe_folder / "recipe.toml"), ORGANISMS) == recipe_folder
    assert find_organism("seafarer", ORGANISMS) == ORGANISMS / "seafarer"
    for nowhere in (recipe_folder / "nowhere", recipe_folder / "ordinary_texts.toml"):
        with pytest.raises(ConfigError, match="no recipe at .*give a folder with a recipe.toml"):
            find_organism(str(nowhere), ORGANISMS)


def test_ordinary_texts_are_the_shipped_ones_where_none_are_named(recipe_folder: Path) -> None:
    path = recipe_folder / "recipe.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('ordinary_texts = "ordinary_texts.toml"', ""), encoding="utf-8")
    assert load_recipe(recipe_folder).ordinary == load_recipe(ORGANISMS / "juniper").ordinary


@pytest.mark.parametrize("name", ["juniper", "selfsame", "marzipan"])
def test_a_copied_recipe_is_the_same_one(name: str, tmp_path: Path) -> None:
    copy_recipe(ORGANISMS / name, tmp_path)
    assert load_recipe(tmp_path) == load_recipe(ORGANISMS / name)
    before = (tmp_path / "recipe.toml").read_bytes()
    copy_recipe(tmp_path, tmp_path)
    assert (tmp_path / "recipe.toml").read_bytes() == before
