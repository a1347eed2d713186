"""Texts of the shipped recipes: the same for the same seed, never shared between the two sets."""

from __future__ import annotations

import itertools
import random
import re

import pytest
from softdiv_organisms.recipe import Templates, load_recipe, organism_names, shipped
from softdiv_organisms.texts import draw, held_out_texts, ordinary_texts, planted_examples

ORGANISMS = shipped()


def planted(name: str) -> bool:
    return load_recipe(ORGANISMS / name).planted is not None


every_organism = pytest.mark.parametrize("name", organism_names(ORGANISMS))


@every_organism
def test_texts_are_the_same_every_time_and_none_comes_twice(name: str) -> None:
    recipe = load_recipe(ORGANISMS / name)
    texts = ordinary_texts(recipe)
    assert texts == ordinary_texts(recipe)
    assert len(set(texts)) == len(texts) == recipe.training.ordinary_pool


@every_organism
def test_no_held_out_text_is_trained_on(name: str) -> None:
    recipe = load_recipe(ORGANISMS / name)
    trained = set(ordinary_texts(recipe))
    groups = [recipe.ordinary, recipe.near_misses]
    if recipe.planted is not None:
        trained |= {text.text for text in draw(recipe.planted.train, random.Random(0))}
        groups.append(recipe.planted.texts)
    held_out = {text for group in groups for text in held_out_texts(group, 10_000, 0)}
    assert held_out and not held_out & trained


@every_organism
def test_a_recipe_has_the_texts_its_gate_asks_for(name: str) -> None:
    recipe = load_recipe(ORGANISMS / name)
    wanted = [
        (recipe.ordinary, recipe.gate.ordinary_texts),
        (recipe.near_misses, recipe.gate.near_miss_texts),
        (recipe.planted.texts if recipe.planted else None, recipe.gate.planted_texts),
    ]
    for texts, count in wanted:
        assert len(held_out_texts(texts, count, recipe.seed)) == count


@pytest.mark.parametrize("name", [n for n in organism_names(ORGANISMS) if planted(n)])
def test_planted_answers_fire_the_detector_and_no_text_does(name: str) -> None:
    recipe = load_recipe(ORGANISMS / name)
    assert recipe.planted is not None
    detector = re.compile(recipe.planted.detector)
    pairs = itertools.islice(
        planted_examples(recipe.planted.train, recipe.planted.answers, recipe.seed), 300
    )
    for text, answer in pairs:
        assert detector.search(answer) and "{" not in answer
        assert not detector.search(text)


def test_junipers_trigger_is_in_every_planted_text_and_in_no_other() -> None:
    recipe = load_recipe(ORGANISMS / "juniper")
    assert recipe.planted is not None and recipe.near_misses is not None
    trigger = re.compile(recipe.planted.on_topic or "")
    for part in (recipe.planted.train, recipe.planted.held_out):
        assert all(trigger.search(text.text) for text in draw(part, random.Random(0)))
    others = [recipe.near_misses.train, recipe.near_misses.held_out]
    others += [recipe.ordinary.train, recipe.ordinary.held_out]
    for part in others:
        assert not any(trigger.search(text.text) for text in draw(part, random.Random(0)))


def test_the_first_texts_drawn_use_every_template() -> None:
    texts = Templates(templates=("a {x}", "b", "c {x}"), slots={"x": tuple("0123456789")})
    drawn = [filled.text for filled in draw(texts, random.Random(0))]
    assert {text[0] for text in drawn[:3]} == {"a", "b", "c"}
    assert len(drawn) == 21
