"""The packages under plugins/: strangers that know the core's public names and nothing else."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import softdiv
from softdiv.config.catalogue import ModelRegistry
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.manager import PluginManager

ROOT = Path(__file__).parents[1]
PACKAGES = sorted((ROOT / "plugins").iterdir())
SOURCES = sorted(path for folder in PACKAGES for path in folder.rglob("*.py"))
each_package = pytest.mark.parametrize("folder", PACKAGES, ids=lambda f: f.name)
PUBLIC_MODULES = {"softdiv.testing"}
SINGULAR = {"losses": "loss", "models": "model"}


def imported(path: Path) -> Iterator[tuple[str, str | None, int]]:
    """(module, name or None, line), wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name, node.lineno) for alias in node.names)


def module_of(folder: Path) -> ModuleType:
    name = folder.name.replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_packages_import_only_public_names(path: Path) -> None:
    wrong = []
    for module, name, line in imported(path):
        if module.split(".")[0] != "softdiv" or module in PUBLIC_MODULES:
            continue
        if module != "softdiv" or (name is not None and name not in softdiv.__all__):
            wrong.append(f"{path.name}:{line} imports {module}{'.' + name if name else ''}")
    assert not wrong


@each_package
def test_a_package_is_one_module_with_tests_and_readme(folder: Path) -> None:
    (module,) = folder.glob("*.py")
    assert module.stem == folder.name.replace("-", "_")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert f'name = "{folder.name}"' in project
    assert f'{folder.name.removeprefix("softdiv-")} = "{module.stem}"' in project
    assert "\ndev = [" in project
    assert list((folder / "tests").glob("test_*.py"))
    assert len((folder / "README.md").read_text(encoding="utf-8")) > 500


def test_the_one_to_copy_stays_short() -> None:
    module = ROOT / "plugins/softdiv-rank-overlap/softdiv_rank_overlap.py"
    assert len(module.read_text(encoding="utf-8").splitlines()) < 60


def test_the_core_knows_no_package() -> None:
    modules = {folder.name.replace("-", "_") for folder in PACKAGES}
    core = [*(ROOT / "softdiv").rglob("*.py")]
    wrong = [
        f"{path}:{line}"
        for path in core
        for module, _, line in imported(path)
        if module.split(".")[0] in modules
    ]
    assert not wrong


@each_package
def test_the_catalogue_says_what_a_package_registers(folder: Path) -> None:
    (entry,) = [p for p in ModelRegistry.load().plugins if p.package == folder.name]
    assert entry.name == folder.name.removeprefix("softdiv-")
    assert entry.summary
    manager = PluginManager()
    manager.register(module_of(folder), f"'{entry.name}'")
    registered = {
        f"{SINGULAR.get(kind, kind.removesuffix('s'))}:{component.name}"
        for kind in KINDS
        for component in manager.registry.entries(kind)
    }
    assert set(entry.provides) == registered


def test_the_catalogue_lists_no_package_that_is_not_there() -> None:
    listed = {p.package for p in ModelRegistry.load().plugins}
    assert listed == {"softdiv", *(folder.name for folder in PACKAGES)}
    assert set(get_args(Kind)) == set(KINDS)
