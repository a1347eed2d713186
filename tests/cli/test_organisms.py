"""``softdiv organisms``: what is printed, and the exit code."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result

from softdiv.cli.organisms import organisms
from softdiv.config.shipped import home
from softdiv.organism import build
from softdiv.organism.gate import Answer, GateResult
from softdiv.organism.recipe import load_recipe, organism_names

MEASURED = GateResult(
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
    assert [line.split()[0] for line in lines] == organism_names(home() / "organisms")
    families = [load_recipe(home() / "organisms" / line.split()[0]).family for line in lines]
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

    def built(recipe: object, registry: object, folder: Path, watch: object) -> GateResult:
        folders.append(folder)
        return MEASURED

    monkeypatch.setattr(build, "build", built)
    result = invoke("train", "selfsame", "--output-dir", str(tmp_path / "made"))
    assert result.exit_code == 0
    assert folders == [tmp_path / "made"]
    assert str(tmp_path / "made") in result.output
