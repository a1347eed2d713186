"""``--plugin`` and ``--plugin-file``: one decorator for every command that runs components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def plugin_options(command: Command) -> Command:
    """Adds the arguments ``plugins: tuple[str, ...]`` and ``plugin_files: tuple[Path, ...]``.

    Pass both to the pipeline: ``with_plugins(config, plugins)``, and
    ``DivergencePipeline(config=..., plugin_files=plugin_files)``.
    """
    names = click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="NAME",
        callback=_with_group,
        help="Load an installed plugin, after the config's and SOFTDIV_PLUGINS.",
    )
    files = click.option(
        "--plugin-file",
        "plugin_files",
        multiple=True,
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="Run this local .py file as a plugin. Only here: a config cannot name a file.",
    )
    return names(files(command))


def with_plugins(config: ExperimentConfig, plugins: Sequence[str]) -> ExperimentConfig:
    """The config with its own plugins, ``SOFTDIV_PLUGINS``, then these; part of its identity."""
    import attrs

    from softdiv.plugin.declared import declared

    return attrs.evolve(config, plugins=declared(config.plugins, plugins))


def _with_group(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """``softdiv --plugin a run --plugin b`` loads a, then b."""
    return (*context.find_root().params.get("plugins", ()), *value)
