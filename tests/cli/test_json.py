"""``--json``: one JSON value on standard output and nothing else, whatever plugins print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softdiv.cli import doctor
from softdiv.config.shipped import config_path

from .conftest import Call

PRINTING = """
import attrs
from softdiv import hookimpl

print("imported")

@attrs.frozen(kw_only=True)
class Loud:
    level = "token"
    def __call__(self, rows):
        print("look at me")
        return rows.log_probs_1.new_zeros(rows.targets.shape)

@hookimpl
def softdiv_register_metrics(register):
    register("loud", Loud)
"""


@pytest.fixture
def said(call: Call, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; its exit code and its JSON."""

    def run(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = call(*arguments, "--json")
        return code, json.loads(capsys.readouterr().out)

    return run


def test_run_and_evaluate_with_a_plugin_that_prints(
    said: Any, tmp_path: Path, config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "loud.py"
    plugin.write_text(PRINTING)
    loud = ("--plugin-file", plugin, "--set", 'evaluation.metrics=["jsd", "loud"]')
    run = tmp_path / "run"
    code, table = said("run", config_file, *loud, "--output-dir", run)
    assert code == 0
    assert table == {"run_dir": str(run), **json.loads((run / "report.json").read_text())}
    assert table["prompts"][0]["metrics"]["loud"] == 0.0
    suite = tmp_path / "p.jsonl"
    suite.write_text('{"text": "Hello."}')
    code, table = said("evaluate", suite, "--config", config_file, *loud)
    assert code == 0 and table["prompts"][0]["text"] == "Hello."
    code, table = said("evaluate", run, "--plugin-file", plugin, "--force")
    assert code == 0 and table["prompts"][0]["metrics"]["loud"] == 0.0


def test_dry_run_and_plan(said: Any) -> None:
    for command in (("run", config_path("smoke"), "--dry-run"), ("doctor", "--plan")):
        arguments = (*command, *([config_path("smoke")] if command[0] == "doctor" else []))
        code, table = said(*arguments)
        assert code == 0
        assert table["memory"][1] > table["memory"][0] > sum(table["weights"]) > 0
        assert table["texts"] == {"train": 258, "validation": 98, "test": 124}
        assert "search and baselines" in table["fte"]


def test_what_a_run_costs_is_between_the_estimates(said: Any, tmp_path: Path) -> None:
    smoke = ("run", config_path("smoke"), "--set", "plugins=[]", "--set", "evaluation.metrics=[]")
    _, table = said(*smoke, "--dry-run")
    low, high = (sum(fte[end] for fte in table["fte"].values()) for end in (0, 1))
    _, report = said(*smoke, "--output-dir", tmp_path / "run")
    truth = report["ledger"]["total"]
    assert truth / 2 <= low <= truth <= high <= 2 * truth


def test_runs(said: Any, run: Path) -> None:
    code, (info,) = said("runs", "list", "--dir", run.parent)
    assert code == 0 and info["path"] == str(run) and info["state"] == "finished"
    code, one = said("runs", "show", run)
    assert code == 0 and "hard_prompts.jsonl" in one["stages"]["generate"]["files"]
    assert one["verdict"] == info["verdict"] and one["facts"]["torch"]
    code, checked = said("runs", "verify", run)
    assert (code, checked) == (0, [{"path": str(run), "intact": True, "problems": []}])
    (run / "report.md").unlink()
    code, ((found),) = said("runs", "verify", run)
    assert code == 5 and not found["intact"] and "report.md is missing" in found["problems"][0]


def test_pairs(said: Any) -> None:
    code, entries = said("pairs", "list")
    assert code == 0
    assert next(e for e in entries if e["name"] == "tiny")["model_1"]["loader"] == "tiny"
    code, table = said("pairs", "check", "tiny")
    assert code == 0 and table["comparable"] is True
    assert table["verdict"] == "can be compared" and table["weights"] == "differ"


def test_doctor(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_tried", lambda name: "yes")
    code, table = said("doctor")
    assert code == 0 and {"python", "torch", "memory", "plugin", "self-check"} <= set(table)
