"""Finds what a name means to ``softdiv plugins show``: a plugin, or a component of a built-in."""

from __future__ import annotations

from softdiv.cli.plugin_listing import listing
from softdiv.cli.plugin_source import stated_components
from softdiv.config.catalogue import ModelRegistry
from softdiv.errors import PluginError, did_you_mean
from softdiv.plugin.discovery import installed
from softdiv.plugin.manager import BUILTINS, PluginManager
from softdiv.plugin.registry import Entry


def components_of(name: str) -> tuple[str, tuple[Entry, ...]]:
    """(label, components). Built-ins win over an installed plugin of the same name.

    Raises:
        PluginError: nothing has this name, or the plugin cannot be loaded.
    """
    catalogue = ModelRegistry.load()
    builtin = PluginManager.load()
    shipped = builtin.registry.entries()
    if name in [module.rpartition(".")[2] for module in BUILTINS]:
        return f"built-in '{name}'", tuple(e for e in shipped if _plugin_name(e) == name)
    plugins = [plugin.name for plugin in installed()]
    if name in plugins or name in catalogue.packages():
        manager = PluginManager.load([name], packages=catalogue.packages())
        (label,) = manager.loaded
        return f"plugin {label}", tuple(e for e in manager.registry.entries() if e.plugin == label)
    named = tuple(entry for entry in shipped if entry.name == name)
    if named:
        return f"built-in {' and '.join(map(_plugin_name, named))}", named
    rows = listing()
    for row in rows:
        if name in [provided.partition(":")[2] for provided in row.provides]:
            known = f"softdiv plugins show {row.name}"
            fix = known if row.version else f"pip install {row.package}, then {known}"
            raise PluginError(f"'{name}' is provided by plugin '{row.name}'", fix=fix)
    names = {*(row.name for row in rows), *(entry.name for entry in shipped)}
    raise PluginError(f"no plugin or component '{name}'", fix=did_you_mean(name, names))


def commands_of(name: str) -> tuple[str, ...]:
    """Names of the commands that an installed plugin's source registers."""
    return tuple(
        stated.name
        for plugin in installed()
        if plugin.name == name
        for stated in stated_components(plugin.module)
        if stated.kind == "commands"
    )


def _plugin_name(entry: Entry) -> str:
    """The name in a label such as ``'metrics' (softdiv 0.1.0)``."""
    return entry.plugin.split("'")[1]
