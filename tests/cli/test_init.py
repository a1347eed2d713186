"""``softdiv init``: a commented config that says what ``softdiv run`` would do."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from softdiv.cli.init import init
from softdiv.cli.options import build_config
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError

from .conftest import Call


def test_it_asks_nothing_where_flags_say_all(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    file, texts = tmp_path / "my.toml", tmp_path / "mine.jsonl"
    options = ("--texts", texts, "--system-prompt", 'Say "so"\\.\n\x7f', "--set", "seed=3")
    assert call("init", "org/a@v1", "org/b", *options, "-o", file) == 0
    config = ExperimentConfig.from_file(file)
    assert config.pair.model_1 is not None
    assert config.pair.model_1.options == {"path": "org/a", "revision": "v1"}
    assert config.data.system_prompt == 'Say "so"\\.\n\x7f'
    assert config.data.processors[0].options == {"data_path": str(texts)}
    quickstart = ExperimentConfig.from_file(config_path("quickstart"))
    assert config.training == quickstart.training and config.seed == 3
    lines = file.read_text().splitlines()
    keys = [n for n, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) > 15 and all(lines[n - 1].startswith("# ") for n in keys)
    assert "# what all searchers together may spend" in file.read_text()
    captured = capsys.readouterr()
    assert captured.out == f"wrote {file}\n" and f"softdiv run {file} --dry-run" in captured.err


@pytest.mark.parametrize("name", ["smoke", "quickstart", "full"])
def test_every_shipped_config_survives(name: str, tmp_path: Path, call: Call) -> None:
    file = tmp_path / "c.toml"
    assert call("init", config_path(name), "-o", file) == 0
    assert ExperimentConfig.from_file(file) == build_config(config_path(name))


def test_it_asks_for_what_is_not_said(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    answers = f"{tmp_path}/a\n{tmp_path}/b\n\n"
    result = CliRunner().invoke(init, ["-o", str(file)], input=answers)
    assert result.exit_code == 0, result.output
    config = ExperimentConfig.from_file(file)
    assert config.pair.model_2 is not None
    assert config.pair.model_2.options["path"] == f"{tmp_path}/b"
    assert config.data.processors[0].name == "shipped"
    result = CliRunner().invoke(init, ["-o", str(tmp_path / "d.toml")], input=f"{tmp_path}/a\n")
    assert isinstance(result.exception, ConfigError) and not (tmp_path / "d.toml").exists()


def test_a_file_that_is_there_is_kept(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.toml"
    file.write_text("mine")
    assert call("init", "a", "b", "-o", file) == 2
    assert f"{file} exists (give --force" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert call("init", "a", "b", "-o", file, "--force") == 0
    assert file.read_text() != "mine"
    assert call("init", "a", "b", "-o", tmp_path / "c.ini") == 2
