"""A finished run is open: metrics, texts and analyzers are added beside it, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softdiv.data.shipped_texts import user_texts
from softdiv.search.generator import HardPromptGenerator
from softdiv.storage.atomic import sha256_file
from softdiv.training.trainer import DivergenceTrainer

from .conftest import Call


@pytest.fixture(autouse=True)
def nothing_is_trained_or_searched(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was trained or searched again")

    monkeypatch.setattr(DivergenceTrainer, "train", never)
    monkeypatch.setattr(HardPromptGenerator, "search", never)


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "revisions" not in path.parts and path.name != ".lock"
    }


def report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def test_a_metric_is_added_beside_the_run(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before, first = files(run), report(run)
    assert call("evaluate", run, "--metric", "chrf", "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert files(run) == before, "nothing is overwritten"
    revision = run / "revisions" / "2"
    second = report(revision)
    assert set(second["prompts"][0]["metrics"]) == {"jsd", "lexical_jaccard", "chrf"}
    assert table["prompts"] == second["prompts"]
    for old, new in zip(first["prompts"], second["prompts"], strict=True):
        assert old["text"] == new["text"] and old["answers"] == new["answers"]
    assert second["ledger"]["search"] == first["ledger"]["search"]
    assert second["machine"]["revision_of"] == str(run)
    assert call("runs", "verify", revision) == 0
    assert call("compare", run, revision) == 0
    # the same again is shown, another has the next number, and gates see it
    assert call("evaluate", run, "--metric", "chrf", "--fail-under", "chrf=9") == 7
    assert "this revision was there already" in capsys.readouterr().err
    table_of = '{ name = "lexical_jaccard" }'
    assert call("evaluate", revision, "--metric", "perplexity_difference", "--quiet") == 0
    assert sorted(path.name for path in (run / "revisions").iterdir()) == ["2", "3"]
    assert call("evaluate", run, "--metric", table_of) == 2
    assert "it is among evaluation.metrics already" in capsys.readouterr().err
    assert call("runs", "show", run) == 0
    shown = capsys.readouterr().out
    assert shown.count("\nrevision  finished") == 2 and str(revision) in shown
    assert call("chat", revision, "--message", "Hello.") == 0


def test_other_texts_all_count_and_are_not_those_it_was_trained_on(
    run: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text("\n".join(json.dumps({"text": f"Question {n}?"}) for n in range(5)))
    assert call("evaluate", run, "--texts", mine, "--quiet") == 0
    second = report(run / "revisions" / "2")
    assert second["test_texts"] == 5
    assert {p["text"] for p in second["prompts"]} == {p["text"] for p in report(run)["prompts"]}
    known = [text for _, text, _ in user_texts()][:40]
    mine.write_text("\n".join(json.dumps({"text": text}) for text in ["New?", *known]))
    capsys.readouterr()
    assert call("evaluate", run, "--texts", mine, "--quiet") == 4
    assert "texts are among those this run was trained on or chose" in capsys.readouterr().err
    assert not (run / "revisions" / "3").exists()


def test_an_analyzer_is_added_without_a_model(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr("softdiv.pair.manager.ModelPairManager.load")
    before = files(run)
    added = '{ name = "token_disagreements", top = 3 }'
    assert call("analyze", run, "--analyzer", added) == 0
    shown = capsys.readouterr().out
    assert files(run) == before
    revision = run / "revisions" / "2"
    assert f"Report: {revision}/report.html" in shown
    sections = [section["title"] for section in report(revision)["sections"]]
    assert len(sections) == len(report(run)["sections"]) + 1
    assert report(revision)["prompts"] == report(run)["prompts"]


def test_what_cannot_be_added_is_said_before_anything_is_made(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (("evaluate", run, "--metric", "jds"), "no metric 'jds' (did you mean 'jsd'?)"),
        (("analyze", run, "--analyzer", "3"), "--analyzer 3: expected a table"),
        (("evaluate", run, "--metric", "chrf", "--force"), "this is added beside it"),
        (("evaluate", run, "--texts", "none.jsonl"), "none.jsonl does not exist"),
    ):
        assert call(*arguments) in (2, 4)
        assert message in capsys.readouterr().err
    assert not (run / "revisions").exists()


def test_a_changed_run_is_not_built_on(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with (run / "hard_prompts.jsonl").open("a") as file:
        file.write(" ")
    assert call("evaluate", run, "--metric", "chrf") == 5
    assert "hard_prompts.jsonl has changed since generate wrote it" in capsys.readouterr().err


def test_metrics_of_ones_own_prompts(
    config_file: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "p.jsonl"
    suite.write_text('{"text": "Hello."}')
    command = ("evaluate", suite, "--config", config_file, "--metric", "chrf", "--json")
    assert call(*command) == 0
    assert "chrf" in json.loads(capsys.readouterr().out)["prompts"][0]["metrics"]
