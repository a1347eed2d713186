"""Every block of docs/write-a-plugin.md does what the page says: it is loaded as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from softdiv.cli.plugins_check import check
from softdiv.plugin.imports import import_file
from softdiv.plugin.interfaces import KINDS
from softdiv.testing import ComponentTests
from softdiv.testing.plugin_under_test import PluginUnderTest

PAGE = (Path(__file__).parents[2] / "docs" / "write-a-plugin.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PLUGINS = [block for block in BLOCKS if "@hookimpl\ndef softdiv_register_" in block]


def name_of(block: str) -> str:
    (name,) = re.findall(r'register\("(\w+)"', block)
    return str(name)


def test_the_page_shows_every_kind() -> None:
    hooks = re.findall(r"def softdiv_register_(\w+)", PAGE)
    assert sorted(hooks) == sorted([*KINDS, "metrics"])  # metrics of both levels


@pytest.mark.parametrize("block", [b for b in PLUGINS if "HalfPrecision" not in b], ids=name_of)
def test_a_block_is_a_plugin_that_passes_every_check(block: str, tmp_path: Path) -> None:
    file = tmp_path / "my_plugin.py"
    file.write_text(block, encoding="utf-8")
    result = CliRunner().invoke(check, [str(file)])
    assert result.exit_code == 0, result.output
    assert name_of(block) in result.output


def test_the_model_loader_passes_with_example_options(tmp_path: Path) -> None:
    from softdiv.builtin.loaders.tiny import TinyLoader

    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (block,) = [b for b in PLUGINS if "HalfPrecision" in b]
    (options,) = [b for b in BLOCKS if b.startswith("SOFTDIV_EXAMPLE_OPTIONS")]
    file = tmp_path / "loader.py"
    file.write_text(block + options.replace("path/to/a/small/model", str(tmp_path / "model")))
    (checked,) = PluginUnderTest.of(*_loaded(file)).check()
    assert checked.failures == ()


def test_the_test_class_runs_every_check() -> None:
    (block,) = [b for b in BLOCKS if "softdiv.testing" in b]
    names: dict[str, object] = {"__name__": "shown"}
    exec(block, names)
    shown = names["TestCount"]
    assert isinstance(shown, type) and issubclass(shown, ComponentTests)
    tests = [name for name in dir(shown) if name.startswith("test_")]
    assert len(tests) == len(shown.KIT.checks)
    for name in tests:
        getattr(shown(), name)()


def _loaded(file: Path) -> tuple[object, str]:
    module, loaded = import_file(file)
    return module, loaded.label
