from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softdiv.cli.run import build_config, pair_table
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
