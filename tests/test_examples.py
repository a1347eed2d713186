"""Every example runs as its own docstring says."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {
    "compare_two_models.py": ["{configs}/smoke.toml", "{tmp}/run"],
    "custom_analysis.py": ["{configs}/smoke.toml", "{tmp}/analysed"],
}
PRINTED = {
    "compare_two_checkpoints.py": "report.html",
    "compare_two_models.py": "report.html",
    "custom_analysis.py": "attention.png",
    "custom_metric.py": "confidence gap",
    "custom_training_loop.py": "saved my_prompt.safetensors",
    "ensemble_generation.py": "prompts above 0.05 bits",
    "quantisation_check.py": "int8: D",
}


@pytest.mark.filterwarnings("default")  # an example is a user's program, not our test
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"configs": str(EXAMPLES.parent / "configs"), "tmp": str(tmp_path)}
    arguments = [argument.format(**places) for argument in ARGUMENTS.get(path.name, [])]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:  # a gate ends with a code
        assert end.code == 0
    assert PRINTED[path.name] in capsys.readouterr().out
