from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from softdiv.storage.manifest import read_manifest, write_manifest
from softdiv.storage.run import open_existing

from .conftest import Call


@pytest.fixture
def unfinished(run: Path) -> Path:
    folder = Path(shutil.copytree(run, run.parent / "two"))
    manifest = read_manifest(folder)
    for stage in ("evaluate", "analyze", "report"):
        del manifest["stages"][stage]
    manifest["created"] = "2020-01-01T00:00:00+00:00"
    write_manifest(folder, manifest)
    return folder


def test_list_names_state_verdict_and_pair(
    run: Path, unfinished: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.parent / "three").mkdir()
    (run.parent / "three" / "manifest.json").write_text("{")
    (run.parent / "no-run").mkdir()
    assert call("runs", "list", "--dir", run.parent) == 0
    one, three, two = capsys.readouterr().out.splitlines()
    assert one.startswith("finished ") and "tiny" in one and one.endswith(str(run))
    verdict = json.loads((run / "report.json").read_text())["verdict"]["outcome"]
    assert verdict in one
    assert three.startswith("damaged")
    assert two.startswith("unfinished after generate") and "2020-01-01 00:00" in two


def test_show_lists_stages_and_files(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("runs", "show", run) == 0
    shown = capsys.readouterr().out
    assert "hard_prompts.jsonl" in shown and "torch " in shown


def test_verify_finds_a_changed_and_a_missing_file(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("runs", "verify", "--dir", run.parent) == 0
    assert capsys.readouterr().out == f"{run}: intact\n"
    with (run / "evaluation.json").open("a") as file:
        file.write(" ")
    (run / "report.md").unlink()
    assert call("runs", "verify", run) == 5
    shown = capsys.readouterr().out
    assert "evaluation.json has changed since evaluate wrote it" in shown
    assert "report.md is missing since report wrote it" in shown
    assert "report.html" not in shown
    assert call("runs", "verify", run.parent) == 5
    captured = capsys.readouterr()
    assert captured.out == "" and "is not a softdiv run" in captured.err


def test_prune_removes_what_was_asked_for_and_only_that(
    run: Path, unfinished: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    prune = ("runs", "prune", "--dir", run.parent)
    assert call(*prune) == 2
    assert "say which runs" in capsys.readouterr().err
    assert call(*prune, "--unfinished", "--dry-run") == 0
    assert "would remove 1 run," in capsys.readouterr().out and unfinished.exists()
    assert call(*prune, "--older-than", "1", "--yes") == 0
    assert run.exists() and not unfinished.exists()
    assert call(*prune, "--unfinished", "--yes") == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_prune_asks_first(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prune = ("runs", "prune", "--dir", run.parent, "--older-than", "0")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "n")
    assert call(*prune) == 75 and run.exists()
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "y")
    assert call(*prune) == 0 and not run.exists()


def test_a_run_in_use_is_shown_and_kept(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_existing(run):
        assert call("runs", "list", "--dir", run.parent) == 0
        assert capsys.readouterr().out.startswith("in use")
        assert call("runs", "prune", "--dir", run.parent, "--older-than", "0", "--yes") == 0
    assert run.exists()
    assert call("runs", "list", "--dir", run.parent / "none") == 5
