"""Loads the built-ins and the declared plugins into a fresh registry."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, cast

import attrs
import pluggy

from softdiv.errors import PluginError, SoftdivError
from softdiv.plugin.discovery import Installed, find
from softdiv.plugin.hookspecs import API_VERSION, PROJECT, Hooks, register_hook
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.registry import Factory, Registry

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
    loaded: list[str] = attrs.field(init=False, factory=list)
    """Labels of the third-party plugins loaded, in the config's order."""
    _manager: pluggy.PluginManager = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Hooks)

    @classmethod
    def load(
        cls,
        declared: Iterable[str] = (),
        *,
        hints: Mapping[tuple[str, str], str] | None = None,
        packages: dict[str, str] | None = None,
    ) -> PluginManager:
        """Built-ins plus the declared entry points, imported in the order given.

        Args:
            declared: plugin names from the config's ``plugins``.
            hints: (kind, component) -> advice when a component is missing.
            packages: plugin name -> package known to provide it.

        Raises:
            PluginError: a plugin is missing, fails to import, or breaks the contract.
        """
        manager = cls(Registry(hints or {}))
        for module in BUILTINS:
            manager.register(importlib.import_module(module), f"'{module.rpartition('.')[2]}'")
        for name in dict.fromkeys(declared):
            plugin = find(name, packages)
            manager.register(_import(plugin), plugin.label)
            manager.loaded.append(plugin.label)
        return manager

    def register(self, module: ModuleType | object, label: str) -> None:
        """Register one plugin object and let it register its components."""
        version = getattr(module, "SOFTDIV_API_VERSION", API_VERSION)
        if version != API_VERSION:
            raise PluginError(
                f"plugin {label} was written for plugin API {version}",
                why=f"this softdiv has API {API_VERSION}",
                fix="install a matching version of the plugin",
            )
        try:
            self._manager.register(module, name=label)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            why = " ".join(str(error).split())
            raise PluginError(f"plugin {label} breaks the contract", why=why) from error
        for kind in KINDS:
            self._call_registration(module, kind, label)

    def _call_registration(self, module: object, kind: Kind, label: str) -> None:
        name = register_hook(kind)
        others = [other for other in self._manager.get_plugins() if other is not module]
        hook = self._manager.subset_hook_caller(name, remove_plugins=others)

        def register(component: str, factory: Factory) -> None:
            self.registry.add(kind, component, factory, label)

        try:
            hook(register=register)
        except SoftdivError:
            raise
        except Exception as error:  # a plugin may fail in any way; it is named and re-raised
            raise PluginError(
                f"plugin {label} failed in {name}", why=f"{type(error).__name__}: {error}"
            ) from error

    @property
    def hook(self) -> Hooks:
        """Typed hook caller (registration hooks; observers have their own hub)."""
        return cast(Hooks, self._manager.hook)


def _import(plugin: Installed) -> Any:
    module, _, attribute = plugin.module.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # importing runs foreign code; name it and stop
        raise PluginError(
            f"plugin {plugin.label} failed to import", why=f"{type(error).__name__}: {error}"
        ) from error
    return found
