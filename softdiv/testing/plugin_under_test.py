"""Finds a plugin by name, folder or file, and what it registers, ready to be built and checked."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.catalogue import ModelRegistry
from softdiv.errors import PluginError, SoftdivError
from softdiv.plain_text import one_line
from softdiv.plugin.discovery import GROUP, Installed, find
from softdiv.plugin.failures import FOREIGN
from softdiv.plugin.imports import import_file, import_installed
from softdiv.plugin.manager import BUILTINS, PluginManager
from softdiv.plugin.options import build_options
from softdiv.plugin.registry import Entry
from softdiv.testing.kit import LONGEST, CheckResult, Subject, kit_for, run_check, run_checks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLE_OPTIONS = "SOFTDIV_EXAMPLE_OPTIONS"
"""A plugin's module may define this: component name -> options to check it with."""
USABLE = "can_be_used"
"""Stands for all checks of a component that its options do not let work at all."""


@attrs.frozen
class Checked:
    """One component and what became of every check."""

    entry: Entry
    outcomes: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)


@attrs.frozen
class PluginUnderTest:
    """A plugin's components, in the order it registers them."""

    module: object
    label: str
    entries: tuple[Entry, ...]
    example_options: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, module: object, label: str) -> PluginUnderTest:
        """Register one loaded plugin. Raises PluginError if it breaks the contract."""
        manager = PluginManager()
        manager.register(module, label)
        entries = manager.registry.entries()
        return cls(module, label, entries, getattr(module, EXAMPLE_OPTIONS, {}))

    def check(self) -> Iterator[Checked]:
        """Run every component's kit."""
        for entry in self.entries:
            yield Checked(entry, self._check(entry))

    def _check(self, entry: Entry) -> tuple[CheckResult, ...]:
        options = self.example_options.get(entry.name, {})

        def make() -> Any:
            return build_options(entry.factory, options, where=f"'{entry.name}'")

        kit = kit_for(entry.kind, entry.factory)
        try:
            run_check(_use, Subject(kit, make))
        except SoftdivError as error:  # what a user could mend: here, the options are at fault
            reason = f"{error}; give options to check it with in {EXAMPLE_OPTIONS}"
            return (CheckResult(USABLE, one_line(reason, LONGEST)),)
        return run_checks(kit, make)


def _use(subject: Subject) -> None:
    try:
        subject.use()
    except SoftdivError:
        raise
    except FOREIGN:
        return  # a bug, not a want of options: the checks run into it again and name it


def plugins_at(target: str) -> list[PluginUnderTest]:
    """What NAME or PATH means: an installed plugin, a built-in one, a package folder, a file.

    Raises:
        PluginError: nothing is there, or it cannot be loaded.
    """
    path = Path(target)
    if path.suffix == ".py":
        module, loaded = import_file(path)
        return [PluginUnderTest.of(module, loaded.label)]
    if path.is_dir():
        return list(_in_folder(path.resolve()))
    builtin = {module.rpartition(".")[2]: module for module in BUILTINS}
    if target in builtin:
        module = importlib.import_module(builtin[target])
        return [PluginUnderTest.of(module, f"'{target}' (built-in)")]
    plugin, loaded = import_installed(find(target, ModelRegistry.load().packages()))
    return [PluginUnderTest.of(plugin, loaded.label)]


def _in_folder(folder: Path) -> Iterator[PluginUnderTest]:
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        points = project["entry-points"][GROUP]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise PluginError(
            f"{folder} is no plugin package",
            why=f"{file.name}: {type(error).__name__}: {error}",
            fix=f"it needs a pyproject.toml with [project.entry-points.{GROUP}]",
        ) from error
    with _importable(folder):
        for name, module in points.items():
            version = str(project.get("version", "unknown"))
            found = Installed(name, module, str(project.get("name", folder.name)), version)
            plugin, _ = import_installed(found)
            yield PluginUnderTest.of(plugin, found.label)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(folder), str(folder / "src")]
    try:
        yield
    finally:
        sys.path[:] = before
