"""Plain behaviour as a gate: ``softdiv evaluate --texts FILE`` without a prompt."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from softdiv.evaluation.gate import Gate
from softdiv.report.junit import to_junit
from tests.report.sample import HOSTILE, sample_report

from .conftest import Call


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"Question {n}?"}) for n in range(5)))
    return path


def test_every_text_is_scored_without_a_prompt(
    texts: Path, config_file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ("evaluate", "--texts", texts, "--config", config_file, "--json")
    assert call(*plain, "--fail-over", "jsd=0.9", "--fail-over", "jsd=0.001") == 7
    table = json.loads(capsys.readouterr().out)
    assert table["prompts"] == [] and table["test_texts"] == 5
    (bare,) = table["baselines"]
    assert bare["text"] == "" and len(bare["answers"]) == 5
    assert [gate["passed"] for gate in table["gates"]] == [True, False]
    assert table["gates"][1]["value"] == pytest.approx(bare["divergence_bits"]["value"], abs=1e-6)
    assert call(*plain, "--set", "evaluation.test_texts=3") == 0
    assert json.loads(capsys.readouterr().out)["test_texts"] == 3


def test_a_run_folder_with_a_report_and_a_junit_file(
    texts: Path,
    config_file: Path,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, file = tmp_path / "run", tmp_path / "ci" / "gates.xml"
    plain = ("evaluate", "--texts", texts, "--config", config_file, "--output-dir", run)
    gates = ("--fail-over", "jsd=0.001", "--fail-under", "jsd=0", "--junit", file)
    assert call(*plain, *gates) == 7
    said = capsys.readouterr().out
    assert f"Report: {run}/report.html" in said and "gate FAILED: jsd" in said
    schema = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
    report = json.loads((run / "report.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["test_texts"] == 5 and report["soft_prompt"]["steps"] == 0
    assert set(report["ledger"]) == {"evaluation", "total"}, "nothing is trained or searched"
    suite = ElementTree.parse(file).getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "2", "1")
    under, over = suite.findall("testcase")
    assert over.get("name") == "jsd not over 0.001 (max)"
    assert over.get("classname") == "softdiv.tiny"
    failure = over.find("failure")
    assert failure is not None and "FAILED: jsd = " in str(failure.get("message"))
    assert "(no prompt)" in str(failure.text) and under.find("failure") is None
    # the report's command gives the same again
    again = shlex.split(report["reproduce"].replace("NEW_DIR", str(tmp_path / "again")))
    assert call(*again[1:], "--quiet") == 0
    other = json.loads((tmp_path / "again" / "report.json").read_text())
    assert other["baselines"] == report["baselines"]
    # and the finished run can be gated again, without a model
    assert call("evaluate", run, "--fail-over", "jsd=0.001", "--quiet") == 7


def test_blank_prompts_and_baselines_can_be_gated(
    texts: Path,
    config_file: Path,
    run: Path,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blank = tmp_path / "blank.jsonl"
    blank.write_text('{"text": ""}')
    gate = ("--fail-over", "jsd=0.001", "--json")
    assert call("evaluate", blank, "--texts", texts, "--config", config_file, *gate) == 7
    table = json.loads(capsys.readouterr().out)
    assert [prompt["text"] for prompt in table["prompts"]] == [""] and table["test_texts"] == 5
    lift = ("--fail-under", "llr_lift=1000", "--of", "baselines", "--json")
    assert call("evaluate", run, *lift) == 7
    table = json.loads(capsys.readouterr().out)
    largest = max(b["llr_lift"]["value"] for b in table["baselines"])
    assert table["gates"][0]["value"] == largest


def test_nothing_to_score_is_said(
    call: Call, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate") == 2
    assert "give a RUN, PROMPTS.jsonl, or --texts FILE" in capsys.readouterr().err
    assert call("evaluate", run, "--output-dir", tmp_path / "x") == 2
    assert "--output-dir cannot be combined with the run" in capsys.readouterr().err


def test_all_texts_for_the_report_leave_none_to_train_on(
    call: Call, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = ("--set", "data.test_fraction=1.0", "--output-dir", tmp_path / "x", "--quiet")
    assert call("run", config_file, *everything) == 2
    assert "data.test_fraction = 1 leaves no text for the training" in capsys.readouterr().err
    assert call("run", config_file, *everything, "--set", "training.max_steps=0") == 2
    assert "leaves no text for the search" in capsys.readouterr().err
    assert call("run", config_file, "--set", "data.test_fraction=0.7") == 2
    assert "must be at most 0.5, or 1" in capsys.readouterr().err


def test_junit_of_hostile_words_is_xml() -> None:
    evaluation = sample_report(text=HOSTILE).evaluation
    results = [Gate(metric="jsd", side="over", limit=-1.0).check(evaluation)]
    suite = ElementTree.fromstring(to_junit(HOSTILE, evaluation, results))
    failure = suite.find("testcase/failure")
    assert failure is not None and "<script>" in str(failure.text)
