from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call

NULLS = '[[nulls]]\nname = "itself"\nmodel_2 = {}\n'


def test_a_bank_is_made_and_told_how_to_use(
    call: Call, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nulls.toml"
    file.write_text(NULLS)
    folder = tmp_path / "nulls"
    arguments = ("calibrate", config_file, "--nulls", file, "--output-dir", folder)
    assert call(*arguments) == 0
    said = capsys.readouterr().out
    assert "1 benign pairs" in said and "itself" in said
    assert "a p-value of 0.05 needs 19" in said
    assert f"evaluation.null_bank={folder / 'null_bank.json'}" in said
    assert call("run", config_file, "--set", f"evaluation.null_bank={file}", "--dry-run") == 5


def test_a_missing_file_of_pairs_is_one_line(
    call: Call, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone.toml"
    assert call("calibrate", config_file, "--nulls", gone, "--output-dir", tmp_path / "n") == 2
    assert capsys.readouterr().err.count("\n") == 1
