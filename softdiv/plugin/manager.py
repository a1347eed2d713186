"""Loads the built-ins and the declared plugins into a fresh registry."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pluggy

from softdiv.plugin.contract import check_plugin, check_version, hook_callers
from softdiv.plugin.declared import DISABLE, declared, disabled
from softdiv.plugin.discovery import find
from softdiv.plugin.hookspecs import register_hook
from softdiv.plugin.imports import LoadedPlugin, guarded, import_file, import_installed
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.registry import Factory, Registry
from softdiv.plugin.trace import traced

HookCallers = Mapping[str, pluggy.HookCaller]
BUILTINS: tuple[str, ...] = (
    "softdiv.builtin.loaders",
    "softdiv.builtin.sources",
    "softdiv.builtin.losses",
    "softdiv.builtin.token_metrics",
    "softdiv.builtin.response_metrics",
    "softdiv.builtin.semantic_metrics",
    "softdiv.builtin.searchers",
    "softdiv.builtin.baselines",
    "softdiv.builtin.analyzers",
    "softdiv.builtin.wandb_observer",
)
"""Shipped plugins, named as strings: the core knows kinds, never implementations."""


@attrs.define(eq=False)
class PluginManager:
    """One run's plugins. Never global: two runs in one process do not see each other's."""

    registry: Registry = attrs.field(factory=Registry)
    records: list[LoadedPlugin] = attrs.field(init=False, factory=list)
    """The third-party plugins loaded, in the order in which they were loaded."""

    @property
    def loaded(self) -> list[str]:
        """Labels of the third-party plugins loaded."""
        return [record.label for record in self.records]

    @classmethod
    def load(
        cls,
        names: Iterable[str] = (),
        *,
        files: Iterable[Path] = (),
        hints: Mapping[tuple[str, str], str] | None = None,
        packages: dict[str, str] | None = None,
    ) -> PluginManager:
        """Built-ins, the declared entry points, then the files; each imported once, in order.

        ``SOFTDIV_PLUGINS`` adds names; ``SOFTDIV_DISABLE_PLUGINS`` leaves only the built-ins.

        Args:
            names: plugin names from the config's ``plugins``.
            files: local plugin files from the command line.
            hints: (kind, component) -> advice when a component is missing.
            packages: plugin name -> package known to provide it.

        Raises:
            PluginError: a plugin is missing, fails to import, or breaks the contract.
        """
        caution = f"{DISABLE} is set: no plugin is loaded" if disabled() else ""
        manager = cls(Registry(hints or {}, caution))
        for module in BUILTINS:
            manager.register(importlib.import_module(module), _builtin_label(module), builtin=True)
        for name in declared(names):
            manager._add(*import_installed(find(name, packages)))
        for path in () if disabled() else dict.fromkeys(path.resolve() for path in files):
            manager._add(*import_file(path))
        return manager

    def _add(self, plugin: object, record: LoadedPlugin) -> None:
        self.register(plugin, record.label)
        self.records.append(record)

    def register(self, module: ModuleType | object, label: str, *, builtin: bool = False) -> None:
        """Register one plugin object and let it register its components."""
        hooks = checked(module, label)
        for kind in KINDS:
            self._call_registration(hooks, kind, label, builtin)

    def _call_registration(self, hooks: HookCallers, kind: Kind, label: str, builtin: bool) -> None:
        def register(component: str, factory: Factory) -> None:
            self.registry.add(kind, component, factory, label, builtin=builtin)

        call_registration(hooks, kind, label, register)


def checked(plugin: object, label: str) -> HookCallers:
    """What a plugin implements, by name. Raises PluginError if it breaks the contract."""
    check_version(plugin, label)
    check_plugin(plugin, label)
    return hook_callers(plugin, label, f"plugin {label}")


def call_registration(
    hooks: HookCallers, kind: str, label: str, register: Callable[[str, Any], None]
) -> None:
    """Call one registration hook. Raises PluginError, naming the plugin, if it fails."""
    name = register_hook(kind)
    if name in hooks:
        with guarded(label, f"failed in {name}"), traced(name, label):
            hooks[name](register=register)


def _builtin_label(module: str) -> str:
    from softdiv import __version__

    return f"'{module.rpartition('.')[2]}' (softdiv {__version__})"
