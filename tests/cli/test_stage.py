"""Stages from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.storage.atomic import read_json

from .conftest import Call


def test_train_then_each_next_command_ends_in_a_report(
    tmp_path: Path, config_file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "a run"
    assert call("train", config_file, "--output-dir", run) == 0
    captured = capsys.readouterr()
    assert "after 2 steps" in captured.out
    for _ in range(4):
        # the hint is a command line as it stands
        words = captured.err.strip().splitlines()[-1].removeprefix("next: softdiv ").split(" ", 1)
        assert words[1] == f"'{run}'"
        assert call(words[0], run, "--quiet") == 0
        captured = capsys.readouterr()
    assert (run / "report.html").is_file()
    assert str(run / "report.html") in captured.out


def test_a_finished_stage_is_said_to_be_so_and_force_repeats_it(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_json(run / "manifest.json")
    assert call("analyze", run) == 0
    assert "had finished on" in capsys.readouterr().err
    assert read_json(run / "manifest.json") == before
    assert call("evaluate", run) == 0
    assert "next:" not in capsys.readouterr().err  # it was done too
    (run / "report.json").write_text("{")
    assert call("report", run) == 0
    assert "report.json has changed since report wrote it" in capsys.readouterr().err
    assert call("analyze", run, "--force") == 0
    assert "had finished on" not in capsys.readouterr().err
    assert "report" not in read_json(run / "manifest.json")["stages"]


def test_train_on_a_run_takes_its_own_settings(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("train", run, "--set", "seed=3") == 2
    assert "--set cannot be combined with the run" in capsys.readouterr().err
    assert call("train", run) == 0
    assert "engine torch" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["generate", "evaluate", "analyze", "report"])
def test_a_folder_that_is_no_run_is_one_line(
    command: str, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, tmp_path) == 5
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert "is not a softdiv run" in captured.err
