"""``softdiv organisms``: what is printed, and the exit code."""

from __future__ import annotations

import itertools
import re
from importlib.metadata import metadata
from importlib.resources import files
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result
from softdiv_organisms import build
from softdiv_organisms.commands import organisms
from softdiv_organisms.gate import Answer, OrganismGateResult, gate_texts
from softdiv_organisms.recipe import load_recipe, organism_names, shipped
from softdiv_organisms.texts import taught_examples
from softdiv_organisms.zoo import member_of

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import ConfigError
from softdiv.evaluation.detector import load_detector

MEASURED = OrganismGateResult(
    planted=None,
    elsewhere=None,
    elsewhere_by_group={},
    original=None,
    kl_original_tuned=0.0123,
    kl_tuned_original=0.5,
    kl_planted=None,
    neutral_texts=180,
    examples=(Answer("Hello", "Hi\nthere", "\x1b[31mHi", 0.0, 0.0),),
    failures=(),
)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(organisms, list(arguments))


def test_every_recipe_is_listed_with_its_family() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == organism_names(shipped())
    families = [load_recipe(shipped() / line.split()[0]).family for line in lines]
    places = {line.index(f"  {family}: ") for line, family in zip(lines, families, strict=True)}
    assert len(places) == 1  # one column


@pytest.mark.parametrize(("failures", "code"), [((), 0), (("kl_tuned_original is 0.500",), 1)])
def test_a_failed_gate_is_exit_code_1_and_figures_stand_beside_their_thresholds(
    monkeypatch: pytest.MonkeyPatch, failures: tuple[str, ...], code: int
) -> None:
    measured = attrs.evolve(MEASURED, failures=failures)
    monkeypatch.setattr(build, "check", lambda recipe, registry, folder: measured)
    result = invoke("check", "selfsame")
    assert result.exit_code == code
    (figure,) = [line for line in result.output.splitlines() if "KL(original" in line]
    assert "0.012 nats per token" in figure and figure.endswith("at most 0.1")
    assert ("FAILED" in result.output) == bool(code)
    assert "\x1b" not in result.output and "Hi there" in result.output


def test_training_writes_where_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = []

    def built(recipe: object, registry: object, folder: Path, watch: object) -> OrganismGateResult:
        folders.append(folder)
        return MEASURED

    monkeypatch.setattr(build, "build", built)
    result = invoke("train", "selfsame", "--output-dir", str(tmp_path / "made"))
    assert result.exit_code == 0
    assert folders == [tmp_path / "made"]
    assert str(tmp_path / "made") in result.output


def test_a_recipe_of_ones_own_is_trained_checked_and_detected(
    recipe_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained("base")
    tokenizer.save_pretrained("base")
    recipe = recipe_folder / "recipe.toml"
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace('"tiny"\n\n[ad', '"hf"\npath = "base"\n\n[ad'), encoding="utf-8")
    trained = invoke("train", str(recipe))
    assert trained.exit_code == 1, trained.output  # a random model learns no behaviour in 8 steps
    assert "tiny: FAILED" in trained.output and "planted rate is 0.000" in trained.output
    folder = tmp_path / "runs" / "organisms" / "tiny"
    assert load_recipe(folder) == load_recipe(recipe_folder)
    assert member_of(folder).adapter is not None
    checked = invoke("check", str(folder))
    assert checked.exit_code == 1
    assert checked.stdout.splitlines() == trained.stdout.splitlines()[1:]  # without where it lies
    assert load_detector(folder).search("Zorbo knows.")


def test_a_base_that_takes_no_adapter_is_refused_before_training(
    recipe_folder: Path, tmp_path: Path
) -> None:
    result = invoke("train", str(recipe_folder), "--output-dir", str(tmp_path / "made"))
    assert isinstance(result.exception, ConfigError) and "adapter" in str(result.exception)


def test_the_recipe_of_the_readme_is_one(tmp_path: Path) -> None:
    readme = Path(str(files("softdiv_organisms"))).parent / "README.md"
    text = (
        readme.read_text("utf-8")
        if readme.exists()
        else metadata("softdiv-organisms").get_payload()
    )
    (tmp_path / "recipe.toml").write_text(text.split("```toml\n")[1].split("```")[0], "utf-8")
    recipe = load_recipe(tmp_path)
    assert recipe.planted is not None and recipe.planted.on_topic is not None
    groups = gate_texts(recipe)
    gate = recipe.gate
    assert [len(texts) for texts in groups.values()] == [
        *(gate.planted_texts, gate.ordinary_texts, gate.near_miss_texts, gate.shipped_texts),
    ]
    for _, answer in itertools.islice(taught_examples(recipe), 20):
        assert re.search(recipe.planted.detector, answer)
    said = [text for name, texts in groups.items() if name != "planted" for text in texts]
    assert not any(re.search(recipe.planted.on_topic, text) for text in said)
    assert all(re.search(recipe.planted.on_topic, text) for text in groups["planted"])
