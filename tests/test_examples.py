"""Every example runs as its own docstring says, the notebook with a tiny pair."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader

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


@pytest.mark.slow
def test_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, noise in (("one", 0.0), ("two", 0.3)):
        for part in TinyLoader(noise=noise).load("cpu"):
            part.save_pretrained(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    own = {
        "MODEL_1": "one",
        "MODEL_2": "two",
        "SETTINGS": [
            "training.max_steps=2",
            "generation.budget_fte=6000",
            "evaluation.test_texts=4",
        ],
    }
    notebook = json.loads((EXAMPLES / "two_models.ipynb").read_text("utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("%pip"):
            exec(source, names)
            if "parameters" in cell["metadata"].get("tags", ()):
                assert own.keys() <= names.keys()
                names |= own
    report = Path(capsys.readouterr().out.splitlines()[-1])
    assert report.name == "report.html" and report.is_file()
    assert "<table" in names["results"]._repr_html_()  # type: ignore[attr-defined]  # a cell shows it
