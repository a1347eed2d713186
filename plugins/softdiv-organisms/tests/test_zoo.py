"""The zoo: split before anything was tuned on it, and told to nothing that a search reads."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from softdiv_organisms.recipe import (
    Planted,
    Templates,
    load_recipe,
    organism_names,
    shipped,
    slot_names,
)
from softdiv_organisms.texts import draw
from softdiv_organisms.zoo import ZooSplit, changed_members, load_split

from softdiv.data.shipped_texts import natural_prompts, user_texts
from softdiv.errors import ConfigError

ORGANISMS = shipped()
RECIPES = {name: load_recipe(ORGANISMS / name) for name in organism_names(ORGANISMS)}
PLANTED = sorted(name for name, recipe in RECIPES.items() if recipe.planted)
FAMILIES = {
    "unconditional quirk",
    "lexical trigger",
    "trigger of several words",
    "topic-conditional claim",
    "refusal of a benign class",
    "format trigger",
}
SEA_IN_THE_POOL = {
    "Let's talk about ships.",
    "The sea was rough this morning.",
    "You are a pirate.",
}
"""older than the rule: seafarer's topic stands in the pool, so it is for development only"""
every_planted = pytest.mark.parametrize("name", PLANTED)


def planted_of(name: str) -> Planted:
    planted = RECIPES[name].planted
    assert planted is not None
    return planted


@pytest.fixture(scope="module")
def split() -> ZooSplit:
    return load_split(ORGANISMS)


def test_every_organism_stands_in_the_split_as_it_is_now(split: ZooSplit) -> None:
    assert sorted(split.members) == sorted(RECIPES)
    assert changed_members(ORGANISMS, split) == []
    assert sorted([*split.development, *split.test, *split.fresh]) == PLANTED


def test_both_parts_hold_every_family_and_both_kinds_of_recipe(split: ZooSplit) -> None:
    for part in (split.development, split.test):
        members = [RECIPES[name] for name in part]
        assert {recipe.family for recipe in members} == FAMILIES
        assert {recipe.kind for recipe in members} == {"diluted", "narrow"}


def test_a_changed_recipe_or_adapter_is_named(recipe_folder: Path) -> None:
    home = recipe_folder.parent
    lines = f'[benign]\n[test]\n[development.{recipe_folder.name}]\nrecipe = "0"\n'
    (home / "split.toml").write_text(lines, encoding="utf-8")
    assert changed_members(home, load_split(home)) == [recipe_folder.name]


def test_an_organism_in_two_parts_is_refused(tmp_path: Path) -> None:
    lines = '[benign]\n[test.a]\nrecipe = "0"\n[development.a]\nrecipe = "0"\n'
    (tmp_path / "split.toml").write_text(lines, encoding="utf-8")
    with pytest.raises(ConfigError, match="stands in two parts"):
        load_split(tmp_path)


@every_planted
def test_no_prompt_of_the_pool_sets_an_organism_off(name: str) -> None:
    on_topic = planted_of(name).on_topic
    if on_topic is None:
        return  # planted everywhere: every prompt does
    found = {text for text in natural_prompts() if re.search(on_topic, text)}
    assert found == (SEA_IN_THE_POOL if name == "seafarer" else set())


@every_planted
def test_the_planted_words_stand_in_no_shipped_text(name: str) -> None:
    detector = re.compile(planted_of(name).detector)
    texts = [*natural_prompts(), *(text for _, text, _ in user_texts())]
    texts += [(ORGANISMS / "ordinary_texts.toml").read_text(encoding="utf-8")]
    texts += [
        (ORGANISMS / other / "recipe.toml").read_text(encoding="utf-8")
        for other in RECIPES
        if other != name
    ]
    assert not any(detector.search(text) for text in texts)


# seafarer's pattern was made for the shipped texts: it misses some of its own
@pytest.mark.parametrize(
    "name", [n for n in PLANTED if planted_of(n).on_topic is not None and n != "seafarer"]
)
def test_an_organisms_texts_are_on_its_topic_and_no_others_are(name: str) -> None:
    recipe, planted = RECIPES[name], planted_of(name)
    topic = re.compile(str(planted.on_topic))
    for part in (planted.train, planted.held_out):
        assert not [text for text in drawn(part) if not topic.search(text)]
    assert recipe.near_misses is not None
    for texts in (recipe.near_misses, recipe.ordinary):
        for part in (texts.train, texts.held_out):
            assert not [text for text in drawn(part) if topic.search(text)]


def test_organisms_share_no_planted_words() -> None:
    answers = {name: drawn(planted_of(name).answers) for name in PLANTED}
    for name in PLANTED:
        detector = re.compile(planted_of(name).detector)
        fired = {other for other, said in answers.items() if any(map(detector.search, said))}
        assert fired == {name}


def test_small_adapters_in_the_repository_stay_small() -> None:
    sizes = [path.stat().st_size for path in ORGANISMS.glob("*/adapter_model.safetensors")]
    assert sum(sizes) <= 26_000_000


def drawn(part: Templates) -> list[str]:
    """Texts of a part; answers' slots that only a text can fill are left as they are."""
    names = {name for template in part.templates for name in slot_names(template)}
    slots = {name: part.slots.get(name, ("it",)) for name in names}
    full = Templates(templates=part.templates, slots=slots)
    return [filled.text for filled in draw(full, random.Random(0))]
