"""``softdiv pairs list`` and ``softdiv plugins list``: what there is to choose from."""

from __future__ import annotations

import click

from softdiv.cli.pairs_check import check


@click.group()
def pairs() -> None:
    """List known pairs, and check whether two models can be compared."""


pairs.add_command(check)


@pairs.command("list")
def list_pairs() -> None:
    """Name and description of every pair, ready for ``softdiv run --pair NAME``."""
    from softdiv.config.catalogue import ModelRegistry

    entries = ModelRegistry.load().pairs
    if not entries:
        click.echo("registry.toml lists no pair")
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        click.echo(f"{entry.name:<{width}}  {entry.description}")


@click.group()
def plugins() -> None:
    """The plugins that are installed."""


@plugins.command("list")
def list_plugins() -> None:
    """Every installed plugin, read from package metadata; none is imported."""
    from softdiv.plugin.discovery import installed

    found = installed()
    if not found:
        click.echo("no plugin is installed (built-in components need none)")
    for plugin in found:
        click.echo(f"{plugin.name}  {plugin.distribution} {plugin.version}  {plugin.module}")
