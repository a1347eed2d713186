"""``softdiv plugins new``: a separately installable plugin, written from templates."""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from softdiv import __version__
from softdiv.errors import ConfigError
from softdiv.plugin.interfaces import Kind

if TYPE_CHECKING:
    import jinja2


@attrs.frozen
class _Scaffold:
    registers: Kind
    tests: str
    """Base class in softdiv.testing."""


_KINDS: dict[str, _Scaffold] = {
    "metric": _Scaffold("metrics", "TokenMetricTests"),
    "response-metric": _Scaffold("metrics", "ResponseMetricTests"),
    "loss": _Scaffold("losses", "LossTests"),
    "processor": _Scaffold("processors", "ProcessorTests"),
    "model": _Scaffold("models", "ModelLoaderTests"),
    "searcher": _Scaffold("searchers", "SearcherTests"),
    "analyzer": _Scaffold("analyzers", "AnalyzerTests"),
    "observer": _Scaffold("observers", "ObserverTests"),
}
SCAFFOLD_KINDS: tuple[str, ...] = tuple(_KINDS)

_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@attrs.frozen
class Names:
    """What one NAME becomes. ``my-metric`` and ``softdiv-my-metric`` mean the same."""

    folder: str
    plugin: str
    """Entry point, as in ``plugins = ["my-metric"]``."""

    @classmethod
    def of(cls, name: str) -> Names:
        """Raises ConfigError for a name that cannot be both a package and a module."""
        if not _NAME.fullmatch(name) or "--" in name:
            tidy = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
            raise ConfigError(
                f"'{name}' cannot name a plugin: lower-case letters, digits and single hyphens, "
                "a letter first",
                fix=f"try '{tidy}'" if tidy else "e.g. 'my-metric'",
            )
        plugin = name.removeprefix("softdiv-")
        if plugin == "softdiv":
            raise ConfigError("'softdiv' is the core's own name", fix="e.g. 'my-metric'")
        return cls(name, plugin)

    @property
    def package(self) -> str:
        """Distribution."""
        return f"softdiv-{self.plugin}"

    @property
    def module(self) -> str:
        """Python module."""
        return self.package.replace("-", "_")

    @property
    def component(self) -> str:
        """Name in TOML."""
        return self.plugin.replace("-", "_")

    @property
    def class_name(self) -> str:
        """Of the component."""
        return "".join(part.capitalize() for part in self.plugin.split("-"))


def scaffold(name: str, kind: str, output_dir: Path) -> Path:
    """Write the package and return its folder.

    Raises:
        ConfigError: the name is malformed, or taken by a folder, a plugin or a component.
    """
    from softdiv.storage.atomic import write_text

    names, chosen = Names.of(name), _KINDS[kind]
    folder = output_dir / names.folder
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder} exists already", fix="another NAME, or --output-dir")
    _refuse_taken(names, chosen.registers)
    files = _render(names, kind)
    _refuse_clash(names, files[f"{names.module}.py"])
    for path, text in files.items():
        write_text(folder / path, text)
    return folder


def _render(names: Names, kind: str) -> dict[str, str]:
    major, minor, *_ = __version__.split(".")
    context = {
        "names": names,
        "kind": kind,
        "registers": _KINDS[kind].registers,
        "tests": _KINDS[kind].tests,
        "softdiv": f"softdiv>={major}.{minor},<{int(major) + 1}",
    }
    templates = environment("templates/plugin")
    return {
        target: templates.get_template(source).render(context)
        for target, source in {
            "pyproject.toml": "pyproject.toml.j2",
            "README.md": "README.md.j2",
            "example.toml": "example.toml.j2",
            f"{names.module}.py": f"kinds/{kind}.py.j2",
            f"tests/test_{names.component}.py": "tests.py.j2",
        }.items()
    }


def environment(folder: str) -> jinja2.Environment:
    """Templates of Python, TOML and Markdown, in a folder of this package."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("softdiv.cli", folder),
        autoescape=False,  # noqa: S701 - Python and TOML, not HTML; every name is validated
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _refuse_taken(names: Names, kind: Kind) -> None:
    from softdiv.cli.plugin_listing import listing
    from softdiv.config.catalogue import singular

    provided = f"{singular(kind)}:{names.component}"
    for other in listing():
        if names.plugin == other.name or names.package == other.package:
            raise ConfigError(f"'{names.plugin}' is a known plugin: {other.package}", fix=_ANOTHER)
        if provided in other.provides:
            raise ConfigError(
                f"{singular(kind)} '{names.component}' is provided by '{other.name}' "
                f"({other.package})",
                fix=_ANOTHER,
            )


_ANOTHER = "choose another NAME"


def _refuse_clash(names: Names, source: str) -> None:
    """The class may not hide something the module needs: `rows` would become class Rows."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(source.replace(f"class {names.class_name}", "class _")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    if names.class_name in imported or keyword.iskeyword(names.class_name):
        raise ConfigError(
            f"the class of '{names.folder}' would be called {names.class_name}, "
            "which the module needs for something else",
            fix=_ANOTHER,
        )
