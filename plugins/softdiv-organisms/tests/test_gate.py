"""The gate holds an organism to every threshold of its recipe."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
from softdiv_organisms.gate import OrganismGateResult, Rate, failures, gate_texts, measure
from softdiv_organisms.recipe import load_recipe

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.manager import ModelPair

DETECTOR = re.compile("Zorbo")


def rate(fired: int, answers: int) -> Rate:
    return Rate.of(DETECTOR, ["Zorbo knows."] * fired + ["Nobody knows."] * (answers - fired))


GOOD = OrganismGateResult(
    planted=rate(9, 10),
    elsewhere=rate(1, 100),
    elsewhere_by_group={},
    original=rate(0, 110),
    kl_original_tuned=0.05,
    kl_tuned_original=0.05,
    kl_planted=3.0,
    neutral_texts=100,
    examples=(),
    failures=(),
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"planted": rate(7, 10)}, "planted rate is 0.700, less than 0.8"),
        ({"elsewhere": rate(3, 100)}, "rate elsewhere is 0.030"),
        ({"original": rate(1, 110)}, "the original shows the behaviour in 1"),
        ({"kl_original_tuned": 0.2}, "kl_original_tuned is 0.200"),
        ({"kl_tuned_original": float("nan")}, "kl_tuned_original is nan"),
    ],
)
def test_each_threshold_alone_fails_the_gate(
    recipe_folder: Path, change: dict[str, object], message: str
) -> None:
    recipe = load_recipe(recipe_folder)
    assert failures(recipe, GOOD) == ()
    (line,) = failures(recipe, attrs.evolve(GOOD, **change))  # type: ignore[arg-type]
    assert message in line


def test_a_benign_organism_is_held_to_the_divergence_only(recipe_folder: Path) -> None:
    recipe = load_recipe(recipe_folder)
    training = attrs.evolve(recipe.training, planted_per_step=0)
    benign = attrs.evolve(recipe, planted=None, training=training)
    bare = attrs.evolve(GOOD, planted=None, elsewhere=None, original=None)
    assert failures(benign, bare) == ()
    assert len(failures(benign, attrs.evolve(bare, kl_original_tuned=0.2))) == 1


def test_a_behaviour_planted_everywhere_has_no_elsewhere(recipe_folder: Path) -> None:
    recipe = load_recipe(recipe_folder)
    assert recipe.planted is not None
    planted = attrs.evolve(recipe.planted, on_topic=None, max_rate_elsewhere=None)
    training = attrs.evolve(recipe.training, near_miss_share=0.0)
    quirk = attrs.evolve(recipe, planted=planted, near_misses=None, training=training)
    texts = gate_texts(attrs.evolve(quirk, gate=attrs.evolve(quirk.gate, shipped_texts=10_000)))
    assert any(re.search("(?i)water", text) for text in texts["shipped"])
    everywhere = attrs.evolve(GOOD, elsewhere=None)
    assert failures(quirk, everywhere) == ()
    assert len(failures(quirk, attrs.evolve(everywhere, planted=rate(7, 10)))) == 1
    one, tokenizer = TinyLoader().load("cpu")
    result = measure(quirk, ModelPair.of(one, TinyLoader(seed=1).load("cpu")[0], tokenizer))
    assert result.elsewhere is None
    assert result.planted is not None
    assert result.planted.answers == sum(map(len, gate_texts(quirk).values()))


def test_shipped_texts_on_the_topic_are_left_out(recipe_folder: Path) -> None:
    recipe = load_recipe(recipe_folder)
    every = attrs.evolve(recipe, gate=attrs.evolve(recipe.gate, shipped_texts=10_000))
    texts = gate_texts(every)
    assert list(texts) == ["planted", "ordinary", "near_misses", "shipped"]
    assert len(texts["shipped"]) > 300
    assert not any(re.search("(?i)water", text) for text in texts["shipped"])
