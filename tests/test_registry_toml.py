"""registry.toml says of the built-ins and of plugins/* exactly what they register."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from softdiv.cli.plugin_commands import commands_of
from softdiv.config.catalogue import ModelRegistry, singular
from softdiv.config.shipped import home
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.manager import BUILTINS, PluginManager

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
STATED = {entry.name: entry for entry in ModelRegistry.load().plugins}


def registered(manager: PluginManager, label: str) -> tuple[str, ...]:
    return tuple(
        f"{singular(kind)}:{entry.name}"
        for kind in KINDS
        for entry in manager.registry.entries(kind)
        if entry.plugin.startswith(label)
    )


def project(folder: Path) -> dict[str, Any]:
    table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = table["project"]
    return found


def test_this_is_the_checkout_s_registry() -> None:
    assert home() == ROOT


@pytest.mark.parametrize("module", BUILTINS)
def test_a_built_in_plugin_is_stated_as_it_registers(module: str) -> None:
    name = module.rpartition(".")[2]
    entry = STATED[name]
    assert entry.builtin
    assert entry.provides == registered(PluginManager.load(), f"'{name}'")
    assert entry.summary


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_a_package_of_this_repository_is_stated_as_it_registers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = project(folder)
    ((name, module),) = about["entry-points"]["softdiv"].items()
    entry = STATED[name]
    assert entry.package == about["name"] == folder.name
    assert entry.summary
    monkeypatch.syspath_prepend(str(folder))
    manager = PluginManager()
    plugin = importlib.import_module(module)
    manager.register(plugin, "'it'")
    commands = tuple(f"command:{name}" for name in commands_of(plugin, "'it'", ()))
    assert entry.provides == registered(manager, "'it'") + commands


def test_nothing_else_is_stated() -> None:
    ours = {module.rpartition(".")[2] for module in BUILTINS}
    names = {name for folder in PACKAGES for name in project(folder)["entry-points"]["softdiv"]}
    assert set(STATED) == ours | names
    assert len(ModelRegistry.load().plugins) == len(STATED)
    assert set(get_args(Kind)) == set(KINDS)
