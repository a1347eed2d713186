"""``softdiv metrics list`` and its six siblings: names exactly as they are written in TOML."""

from __future__ import annotations

import click

from softdiv.cli.main import COMMANDS
from softdiv.plugin.interfaces import KINDS, Kind


def _group(kind: Kind) -> click.Group:
    @click.group(kind, help=COMMANDS[kind][1])
    def group() -> None: ...

    @group.command("list", help=f"The {kind} a config can name: name, plugin, description.")
    @click.option("--plugin", "plugins", multiple=True, metavar="NAME", help="Include this plugin.")
    def list_components(plugins: tuple[str, ...]) -> None:
        from softdiv.cli.table import print_table

        rows = _builtin(kind) if not plugins else _registered(kind, plugins)
        print_table(("name", "plugin", "description"), rows)

    return group


def _builtin(kind: Kind) -> list[tuple[str, str, str]]:
    """Read from the source: importing it would import torch."""
    from softdiv import __version__
    from softdiv.cli.plugin_source import stated_components
    from softdiv.plugin.manager import BUILTINS

    return [
        (stated.name, f"{module.rpartition('.')[2]} (softdiv {__version__})", stated.summary)
        for module in BUILTINS
        for stated in stated_components(module)
        if stated.kind == kind
    ]


def _registered(kind: Kind, plugins: tuple[str, ...]) -> list[tuple[str, str, str]]:
    from softdiv.cli.component_options import summary_of
    from softdiv.config.catalogue import ModelRegistry
    from softdiv.plugin.manager import PluginManager

    manager = PluginManager.load(plugins, packages=ModelRegistry.load().packages())
    return [
        (entry.name, entry.plugin.replace("'", ""), summary_of(entry.factory))
        for entry in manager.registry.entries(kind)
    ]


models, processors, losses, metrics, searchers, analyzers, observers = map(_group, KINDS)
