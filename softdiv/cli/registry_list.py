"""``softdiv pairs list``: the pairs there are to choose from."""

from __future__ import annotations

import click

from softdiv.cli.pairs_check import check
from softdiv.cli.terminal import say


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
        say("registry.toml lists no pair")
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        say(f"{entry.name:<{width}}  {entry.description}")
