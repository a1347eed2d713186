"""What a plugin's source says it registers: the file is read and parsed, never run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

_PREFIX = "softdiv_register_"


@attrs.frozen
class Stated:
    """One ``register("name", Factory)`` as it stands in the source."""

    kind: str
    """As in the hook's name: ``metrics``, ``commands``."""
    name: str
    summary: str
    """First line of the factory's docstring; "" when the class is not found."""


@attrs.frozen
class _Module:
    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """What a relative import is relative to."""
        is_package = self.path.name == "__init__.py"
        return self.name if is_package else self.name.rpartition(".")[0]


def located(module: str) -> Path | None:
    """The source file of a module, found without importing it or its parents."""
    folders: list[str] | None = None
    found: Path | None = None
    parts = module.partition(":")[0].split(".")
    for end in range(1, len(parts) + 1):
        spec = None
        for finder in sys.meta_path:
            spec = finder.find_spec(".".join(parts[:end]), folders)
            if spec is not None:
                break
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or ())
        found = Path(spec.origin) if spec.origin else None
    return found if found is not None and found.suffix == ".py" and found.is_file() else None


def stated_kinds(module: str) -> tuple[str, ...]:
    """The kinds whose registration hook the source defines, in its order."""
    read = _read(module)
    return tuple(kind for kind, _ in _hooks(read)) if read else ()


def stated_components(module: str) -> tuple[Stated, ...]:
    """Every component registered under a literal name, in the source's order."""
    read = _read(module)
    return tuple(_stated(read)) if read else ()


def _hooks(module: _Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(_PREFIX):
            yield node.name.removeprefix(_PREFIX), node


def _stated(module: _Module) -> Iterator[Stated]:
    for kind, function in _hooks(module):
        for call in ast.walk(function):
            if (
                isinstance(call, ast.Call)
                and ast.unparse(call.func) == "register"
                and len(call.args) == 2
                and isinstance(call.args[0], ast.Constant)
            ):
                summary = _summary(module, ast.unparse(call.args[1]))
                yield Stated(kind, str(call.args[0].value), summary)


def _summary(module: _Module, factory: str) -> str:
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == factory:
            return (ast.get_docstring(node) or "").partition("\n")[0]
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == factory:
                    origin = _read(_absolute(module, node))
                    return _summary(origin, alias.name) if origin else ""
    return ""


def _absolute(module: _Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parents = module.package.split(".")
    parents = parents[: len(parents) - node.level + 1]
    return ".".join([*parents, node.module] if node.module else parents)


def _read(module: str) -> _Module | None:
    path = located(module)
    if path is None:
        return None
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return None  # importing it will say what is wrong, with the line
    return _Module(module.partition(":")[0], path, tree)
