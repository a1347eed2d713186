"""A run that was started with relative paths is chatted with, continued and repeated elsewhere."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from .conftest import Call


def test_a_run_works_from_any_folder(
    tmp_path: Path,
    tiny_folders: tuple[Path, Path],
    config_file: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
    for model in tiny_folders:
        shutil.copytree(model, here / model.name)
    texts = [{"text": f"Question number {n}?"} for n in range(30)]
    (here / "mine.jsonl").write_text("\n".join(map(json.dumps, texts)))
    monkeypatch.chdir(here)
    command = ("run", config_file, "one", "two", "--texts", "mine.jsonl", "--output-dir")
    assert call(*command, "out") == 0
    again = json.loads((here / "out" / "report.json").read_text())["reproduce"]

    monkeypatch.chdir(elsewhere)
    run = here / "out"
    assert call("chat", run, "--message", "Hello.") == 0
    assert call("generate", run, "--force", "--quiet") == 0
    assert call("evaluate", run, "--quiet") == 0
    _, *words = shlex.split(again.replace("NEW_DIR", "new"))
    assert call(*words, "--quiet") == 0
    assert (elsewhere / "new" / "report.html").is_file()
    # the same command in the old folder is still the same run
    monkeypatch.chdir(here)
    capsys.readouterr()
    assert call(*command, "out", "--quiet") == 0
