"""``softdiv run [CONFIG] [MODEL_1 MODEL_2]``, and options that are short for keys of a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softdiv.cli.options import build_config
from softdiv.cli.words import what_is_meant
from softdiv.config.component import ComponentConfig
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError

from .conftest import Call

NONE: dict[str, Any] = dict.fromkeys(
    ("model_1", "model_2", "adapter", "quantize", "gguf_file", "revision_1", "revision_2")
)


@pytest.mark.parametrize(
    ("words", "options", "config", "models"),
    [
        ("", {}, None, {}),
        ("c.toml", {}, "c.toml", {}),
        ("a b", {}, None, {"model_1": "a", "model_2": "b"}),
        ("c.yaml a b", {}, "c.yaml", {"model_1": "a", "model_2": "b"}),
        ("a", {"adapter": "d"}, None, {"model_1": "a"}),
        ("a", {"revision_2": "v"}, None, {"model_1": "a"}),
        ("a b", {"quantize": "int4"}, None, {"model_1": "a", "model_2": "b"}),
        ("c.toml", {"model_1": "a", "model_2": "b"}, "c.toml", {}),
    ],
)
def test_which_word_is_what(
    words: str, options: dict[str, str], config: str | None, models: dict[str, str]
) -> None:
    found = what_is_meant(words.split(), {**NONE, **options})
    assert found == (config and Path(config), models)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ("a", {}, "'a' alone is no config and no pair"),
        ("a b c", {}, "3 models are no pair"),
        ("c.toml a", {}, "'a' alone is no config and no pair"),
        ("a b", {"model_1": "x"}, "model_1 is given twice: 'a' and --model-1"),
    ],
)
def test_what_is_no_pair(words: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        what_is_meant(words.split(), {**NONE, **options})


def test_the_shipped_quickstart_needs_no_plugin() -> None:
    """Or README's command would not work with softdiv alone."""
    assert ExperimentConfig.from_file(config_path("quickstart")).plugins == ()


def test_texts_take_the_place_of_sources_and_their_categories(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    names = ("mine.jsonl", "a.json.gz", "b.CSV", "c.tsv", "d.parquet", "e.txt", "f")
    folder = tmp_path / "saved"
    folder.mkdir()
    config = tmp_path / "c.toml"
    config.write_text(
        '[data]\ncategories = ["x"]\nprocessors = [{ name = "csv", data_path = "old.csv" }, '
        '"shipped", { name = "length", max_words = 9 }]\n'
    )
    made = build_config(config, texts=(*(tmp_path / name for name in names), folder)).data
    *sources, last = made.processors
    kinds = ["jsonl", "jsonl", "csv", "csv", "parquet", "text", "text", "hub"]
    assert [source.name for source in sources] == kinds
    assert sources[0].options == {"data_path": str(mine)}
    assert last == ComponentConfig("length", {"max_words": 9})
    assert made.categories == ()
    alone = build_config(None, texts=(mine,)).data
    assert [one.name for one in alone.processors] == ["jsonl"]  # its filter suits its own texts


def test_a_pair_of_folders_with_texts_of_ones_own(
    tmp_path: Path,
    tiny_folders: tuple[Path, Path],
    call: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = tmp_path / "mine.jsonl"
    texts.write_text("\n".join(json.dumps({"text": f"Question {n}?"}) for n in range(12)))
    prompt = 'Say "so".'
    options = ("--texts", texts, "--system-prompt", prompt, "--dtype", "bfloat16")
    assert call("run", *tiny_folders, *options, "--device", "cpu", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "12 with a system message" in said
    assert "model_1                 0.10 MB" in said  # two bytes a weight
    assert call("run", *tiny_folders, *options, "--device", "cdua", "--dry-run") == 2
    assert "device: 'cdua' cannot be used" in capsys.readouterr().err


def test_dtype_is_of_both_models_of_a_named_pair(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--pair", "tiny", "--dtype", "float16", "--dry-run") == 2
    told = capsys.readouterr().err
    assert "pair.model_1: model loader 'tiny': dtype: unknown key" in told
