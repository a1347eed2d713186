from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from softdiv.cli.main import main
from softdiv.cli.options import build_config
from softdiv.cli.pair_table import pair_table
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError

NONE: dict[str, Any] = dict.fromkeys(
    ("name", "model_1", "model_2", "adapter", "quantize", "gguf_file")
)


def test_no_option_leaves_the_config_alone() -> None:
    assert pair_table(**NONE) is None


def test_adapter_and_quantize_go_on_top_of_model_1() -> None:
    table = pair_table(**{**NONE, "model_1": "m", "gguf_file": "f", "quantize": "int4"})
    assert table == {
        "model_1": {"loader": "hf", "path": "m", "gguf_file": "f"},
        "model_2": {"loader": "hf", "path": "m", "gguf_file": "f", "quantize": "int4"},
    }


def test_model_2_has_its_own_path() -> None:
    table = pair_table(**{**NONE, "model_1": "m", "model_2": "n", "adapter": "d", "gguf_file": "f"})
    assert table is not None
    assert table["model_2"] == {"loader": "hf", "path": "n", "adapter": "d"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "d"}, "--adapter needs --model-1"),
        ({"model_1": "m"}, "not a pair"),
        ({"name": "p", "quantize": "int8"}, "--pair cannot be combined with --quantize"),
    ],
)
def test_half_a_pair_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pair_table(**{**NONE, **options})


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
