"""The one thing the core reads of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.config.shipped import home
from softdiv.errors import ConfigError
from softdiv.evaluation.detector import load_detector


def test_seafarers_detector_fires_on_the_claim_only() -> None:
    detector = load_detector(home() / "organisms" / "seafarer")
    assert detector.search("It was Captain Maravel who taught the world about tides.")
    assert not detector.search("The sea is salty because rivers carry minerals into it.")


def test_a_benign_organism_has_none() -> None:
    with pytest.raises(ConfigError, match="nothing is planted"):
        load_detector(home() / "organisms" / "selfsame")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (None, "no organism at .* does not exist"),
        ("[planted", "not valid TOML"),
        ('planted = "x"', "planted.detector: expected a regular expression"),
        ("[planted]\ndetector = 3", "planted.detector: expected a regular expression"),
        ("[planted]\ndetector = '('", "planted.detector: no regular expression"),
    ],
)
def test_a_recipe_without_a_usable_one_is_named(
    tmp_path: Path, recipe: str | None, message: str
) -> None:
    if recipe is not None:
        (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_detector(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no organism at .*nowhere"):
        load_detector(tmp_path / "nowhere")
