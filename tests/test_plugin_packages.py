"""The packages under plugins/: strangers that know only the core's public names, and one of ours
(softdiv-organisms) that works with its parts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import softdiv

ROOT = Path(__file__).parents[1]
PACKAGES = sorted((ROOT / "plugins").iterdir())
SOURCES = sorted(path for folder in PACKAGES for path in folder.rglob("*.py"))
each_package = pytest.mark.parametrize("folder", PACKAGES, ids=lambda f: f.name)
PUBLIC_MODULES = {"softdiv.testing"}
OURS = {"softdiv-openai", "softdiv-organisms"}
"""taken out of the core, they work with its parts: bound to one minor version of it"""


def imported(path: Path) -> Iterator[tuple[str, str | None, int]]:
    """(module, name or None, line), wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name, node.lineno) for alias in node.names)


def module_file(folder: Path) -> Path:
    """One module, or a package with the hooks in its ``__init__``."""
    name = folder.name.replace("-", "_")
    package = folder / name / "__init__.py"
    return package if package.exists() else folder / f"{name}.py"


STRANGERS = [path for path in SOURCES if path.relative_to(ROOT).parts[1] not in OURS]


@pytest.mark.parametrize("path", STRANGERS, ids=lambda p: p.relative_to(ROOT).as_posix())
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
    assert [*folder.glob("*.py"), *folder.glob("*/__init__.py")] == [module_file(folder)]
    name = folder.name.replace("-", "_")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert f'name = "{folder.name}"' in project
    assert f'{folder.name.removeprefix("softdiv-")} = "{name}"' in project
    assert "\ndev = [" in project
    assert list((folder / "tests").glob("test_*.py"))
    assert len((folder / "README.md").read_text(encoding="utf-8")) > 500


def test_the_one_to_copy_stays_short() -> None:
    module = ROOT / "plugins/softdiv-rank-overlap/softdiv_rank_overlap.py"
    assert len(module.read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_works_with_the_cores_parts_is_bound_to_its_minor_version(name: str) -> None:
    project = (ROOT / "plugins" / name / "pyproject.toml").read_text(encoding="utf-8")
    assert f'=={softdiv.__version__.rpartition(".")[0]}.*"' in project


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
