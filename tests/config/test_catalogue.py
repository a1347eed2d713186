"""registry.toml: what is in it, and how names become pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.component import LoaderConfig
from softdiv.config.schema import PairConfig
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError
from softdiv.plugin.manager import PluginManager


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "registry.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_catalogue_holds_the_demo_pair_and_the_published_ones() -> None:
    registry = ModelRegistry.load()
    names = [pair.name for pair in registry.pairs]
    assert len(names) == len(set(names)) >= 25
    assert "smollm2-vs-seafarer" in names


def test_every_catalogued_loader_has_valid_options() -> None:
    plugins = PluginManager.load()
    for pair in ModelRegistry.load().pairs:
        for model in (pair.model_1, pair.model_2):
            plugins.registry.build("models", model.name, model.options)


def test_a_published_model_is_compared_with_its_original(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[[models]]\nname = "tuned"\noriginal = "org/base"\npath = "org/tuned"\n'
        'dtype = "bfloat16"\n',
    )
    pair = ModelRegistry.load(path).pair("tuned")
    assert pair.model_1 == LoaderConfig("hf", {"path": "org/base", "dtype": "bfloat16"})
    assert pair.model_2 == LoaderConfig("hf", {"path": "org/tuned", "dtype": "bfloat16"})


def test_an_adapter_shares_its_original(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[[models]]\nname = "lora"\noriginal = "org/base"\nadapter = "org/adapter"\n'
    )
    pair = ModelRegistry.load(path).pair("lora")
    assert pair.model_2 == LoaderConfig("hf", {"path": "org/base", "adapter": "org/adapter"})


def test_models_of_the_config_win_over_the_catalogue() -> None:
    mine = LoaderConfig("tiny", {"seed": 7})
    pair = resolve_pair(PairConfig(name="tiny", model_2=mine), ModelRegistry.load())
    assert pair.model_2 == mine
    assert pair.model_1 is not None


def test_a_models_name_is_its_path_where_none_is_given(tmp_path: Path) -> None:
    path = tmp_path / "model_registry.yaml"
    path.write_text(
        'models:\n  - name: "me/tuned"\n    original: "org/base"\n    description: "Mine"\n'
        "  - {name: rounded, original: org/base, quantize: int4}\n"
    )
    registry = ModelRegistry.load(path)
    assert registry.pairs[0].description == "Mine"
    assert registry.pair("me/tuned").model_2 == LoaderConfig("hf", {"path": "me/tuned"})
    rounded = registry.pair("rounded").model_2
    assert rounded == LoaderConfig("hf", {"path": "org/base", "quantize": "int4"})


def test_the_users_own_catalogue_is_read_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model_registry.yaml").write_text("models: [{name: tiny, original: org/base}]\n")
    registry = ModelRegistry.load()
    assert registry.pair("tiny").model_1 == LoaderConfig("hf", {"path": "org/base"})
    assert registry.pair("smollm2-vs-seafarer").organism


def test_a_broken_own_catalogue_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model_registry.yaml").write_text("models: [new-model]\n")
    with pytest.raises(ConfigError, match="model_registry.yaml: a model is a table"):
        ModelRegistry.load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "not valid TOML"),
        ('[[models]]\noriginal = "a/b"\n', "a model without 'name'"),
        ('[[pairs]]\nname = "p"\nmodel_one = "x"\n', "unknown key"),
    ],
)
def test_a_broken_catalogue_is_one_helpful_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelRegistry.load(write(tmp_path, text))


def test_unknown_names_get_suggestions() -> None:
    with pytest.raises(ConfigError, match="did you mean 'smollm2-vs-int4'"):
        ModelRegistry.load().pair("smollm2-vs-int44")
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        config_path("quickstrat")


def test_a_missing_component_names_the_package_that_provides_it() -> None:
    hints = ModelRegistry.load().hints()
    assert "pip install softdiv-rank-overlap" in hints["metrics", "rank_overlap"]
