"""``softdiv pairs list``: the pairs there are to choose from."""

from __future__ import annotations

import click

from softdiv.cli.options import json_option
from softdiv.cli.pairs_check import check
from softdiv.cli.terminal import say, say_json


@click.group()
def pairs() -> None:
    """List known pairs, and check whether two models can be compared."""


pairs.add_command(check)


@pairs.command("list")
@json_option
def list_pairs(as_json: bool) -> None:
    """Name and description of every pair, ready for ``softdiv run --pair NAME``."""
    from softdiv.config.catalogue import ModelRegistry

    entries = ModelRegistry.load().pairs
    if as_json:
        from softdiv.config.redact import redacted

        say_json(
            [
                {
                    "name": entry.name,
                    "description": entry.description,
                    "model_1": redacted(entry.model_1.to_dict()),
                    "model_2": redacted(entry.model_2.to_dict()),
                    "organism": entry.organism,
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        say("registry.toml lists no pair")
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        say(f"{entry.name:<{width}}  {entry.description}")
