from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from softdiv.cli.main import main
from softdiv.cli.options import build_config
from softdiv.config.shipped import config_path


def test_pair_options_replace_the_file_and_set_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('plugins = ["a"]\n[pair]\nname = "old"\norganism = "o"\n')
    config = build_config(
        path,
        settings=("pair.organism=new", "seed=7"),
        pair={"name": 'it\'s "x"'},
        plugins=("b", "a"),
    )
    assert (config.pair.name, config.pair.organism) == ('it\'s "x"', "new")
    assert config.seed == 7
    assert config.plugins == ("a", "b")
    assert build_config(path, pair={"name": "x"}).pair.organism is None


def test_smoke_run_shows_progress_and_a_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", str(config_path("smoke")), "--output-dir", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 0
    captured = capsys.readouterr()
    assert "run folder:" in captured.err and "step 6/6" in captured.err
    assert "Report:" in captured.out and "Baselines:" in captured.out
    contract = json.loads((tmp_path / "run" / "report.json").read_text())
    schema = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(contract)
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 0
    again = capsys.readouterr()
    assert again.out == captured.out
    assert "finished" in again.err and "--force" in again.err and "step" not in again.err
