"""Subcommands that plugins add, where the user names the plugin or a known plugin's command;
built-in commands never wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.terminal import ReaderGone
from softdiv.errors import PluginError, SoftdivError
from softdiv.plugin.declared import DISABLE, declared, disabled
from softdiv.plugin.discovery import find
from softdiv.plugin.failures import reason
from softdiv.plugin.imports import import_installed
from softdiv.plugin.manager import call_registration, checked

if TYPE_CHECKING:
    from softdiv.config.catalogue import ModelRegistry

_COMMAND = "command:"
"""in ``provides`` of registry.toml"""

_NO_FAILURES = (
    SoftdivError,
    ReaderGone,
    click.ClickException,
    click.exceptions.Exit,
    click.Abort,
)

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
            plugin, record = import_installed(find(name, _catalogue().packages()))
            new = commands_of(plugin, record.label, taken)
        except SoftdivError as error:
            say(str(error))
            continue
        for command, made in new.items():
            if command in found:
                say(f"two plugins add the command '{command}': {owners[command]}, {record.label}")
                continue
            found[command], owners[command] = made, record.label
    return found


def packaged() -> dict[str, str]:
    """Command -> plugin that adds it, of the packages in the catalogue."""
    return {
        provided.removeprefix(_COMMAND): plugin.name
        for plugin in _catalogue().plugins
        for provided in plugin.provides
        if provided.startswith(_COMMAND)
    }


def load_packaged(command: str, taken: Collection[str]) -> click.Command | None:
    """A command of :func:`packaged`, or None: to call it is to name its plugin.

    Raises:
        PluginError: the plugin is not installed, cannot be loaded or has no such command, or
            plugins are switched off.
    """
    plugin = packaged().get(command)
    if plugin is None:
        return None
    if disabled():
        raise PluginError(
            f"'{command}' is a command of the plugin '{plugin}'", why=f"{DISABLE} is set"
        )
    loaded, record = import_installed(find(plugin, _catalogue().packages()))
    found = commands_of(loaded, record.label, taken)
    if command not in found:
        raise PluginError(
            f"plugin {record.label} has no command '{command}'",
            fix=f"pip install --upgrade {record.distribution}",
        )
    return found[command]


def commands_of(plugin: object, label: str, taken: Collection[str]) -> dict[str, click.Command]:
    """What one plugin adds. Raises PluginError for a name that is taken, or what is no command."""
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
        except _NO_FAILURES:
            raise
        except Exception as error:
            raise PluginError(
                f"plugin {label} failed in command '{name}'", why=reason(error)
            ) from error

    command.invoke = attributed  # type: ignore[method-assign, assignment]
    return command


def _catalogue() -> ModelRegistry:
    from softdiv.config.catalogue import ModelRegistry

    return ModelRegistry.load()
