"""Subcommands that plugins add, where the user names the plugin; built-in commands never wait for
them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from softdiv.errors import PluginError, SoftdivError
from softdiv.plugin.declared import declared
from softdiv.plugin.discovery import find
from softdiv.plugin.failures import reason
from softdiv.plugin.imports import import_installed
from softdiv.plugin.manager import call_registration, checked

Say = Callable[[str], None]


def load_commands(
    names: Sequence[str], taken: Collection[str], say: Say
) -> dict[str, click.Command]:
    """The commands of the plugins named by ``SOFTDIV_PLUGINS`` and ``softdiv --plugin``.

    Args:
        names: given as ``softdiv --plugin NAME``.
        taken: names of built-in commands.
        say: receives one line per plugin that cannot be loaded; the others go on.
    """
    found: dict[str, click.Command] = {}
    owners: dict[str, str] = {}
    for name in declared(command_line=names):
        try:
            plugin, record = import_installed(find(name, _packages()))
            new = _commands_of(plugin, record.label, taken)
        except SoftdivError as error:
            say(str(error))
            continue
        for command, made in new.items():
            if command in found:
                say(f"two plugins add the command '{command}': {owners[command]}, {record.label}")
                continue
            found[command], owners[command] = made, record.label
    return found


def _commands_of(plugin: object, label: str, taken: Collection[str]) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}

    def register(name: str, command: click.Command) -> None:
        if name in taken or name in found:
            owner = "softdiv" if name in taken else "the plugin itself"
            raise PluginError(
                f"plugin {label} adds the command '{name}'",
                why=f"{owner} has it already",
                fix="the plugin must choose another name",
            )
        if not isinstance(command, click.Command):
            raise PluginError(
                f"plugin {label} adds the command '{name}' with {type(command).__name__}",
                fix="decorate the function with @click.command() or @click.group()",
            )
        found[name] = _attributed(command, name, label)

    call_registration(checked(plugin, label), "commands", label, register)
    return found


def _attributed(command: click.Command, name: str, label: str) -> click.Command:
    """A failure of the command is its plugin's, not a bug of softdiv with a traceback."""
    invoke = command.invoke

    def attributed(context: click.Context) -> Any:
        try:
            return invoke(context)
        except (SoftdivError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            raise PluginError(
                f"plugin {label} failed in command '{name}'", why=reason(error)
            ) from error

    command.invoke = attributed  # type: ignore[method-assign, assignment]
    return command


def _packages() -> dict[str, str]:
    from softdiv.config.catalogue import ModelRegistry

    return ModelRegistry.load().packages()
