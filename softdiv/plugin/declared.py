"""Which plugins a run asks for: the config's, then the environment's, then the command line's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softdiv.errors import PluginError

if TYPE_CHECKING:
    from softdiv.plugin.imports import LoadedPlugin

NAMES = "SOFTDIV_PLUGINS"
"""Environment variable: plugin names, comma separated."""
DISABLE = "SOFTDIV_DISABLE_PLUGINS"
"""Environment variable: ``1`` loads the built-ins only, whatever else is asked for."""

FILE = "file"
"""What stands in for the distribution of a ``--plugin-file``."""


def disabled() -> bool:
    """Whether the environment switches every plugin but the built-ins off."""
    return os.environ.get(DISABLE, "") not in ("", "0")


def from_environment() -> tuple[str, ...]:
    """The names in ``SOFTDIV_PLUGINS``, in its order."""
    return tuple(name for part in os.environ.get(NAMES, "").split(",") if (name := part.strip()))


def declared(config: Iterable[str] = (), command_line: Iterable[str] = ()) -> tuple[str, ...]:
    """Plugin names in the order in which they are loaded, each once; none if switched off.

    Args:
        config: the config's ``plugins``.
        command_line: ``--plugin NAME``.
    """
    if disabled():
        return ()
    return tuple(dict.fromkeys((*config, *from_environment(), *command_line)))


def file_identity(loaded: Iterable[LoadedPlugin]) -> dict[str, Any]:
    """What plugin files add to a run's identity: another file, or another version, another run."""
    hashes = [one.sha256 for one in loaded if one.distribution == FILE]
    return {"plugin_files": hashes} if hashes else {}


def changed_plugins(
    before: Sequence[Mapping[str, Any]] | None, now: Iterable[LoadedPlugin]
) -> list[str]:
    """One line per plugin that is not the same as when the run began.

    Args:
        before: what the run's manifest says was loaded; None for a new run.
    """
    known = {one["name"]: one for one in before or ()}
    return [
        f"plugin {one.label} was {was['distribution']} {was['version']} when this run began"
        + (" (same version, another file)" if was["version"] == one.version else "")
        for one in now
        if (was := known.get(one.name)) is not None and was["sha256"] != one.sha256
    ]


def refuse_missing_files(
    before: Sequence[Mapping[str, Any]] | None, now: Iterable[LoadedPlugin]
) -> None:
    """Raises PluginError if a run was begun with a plugin file that is not given now."""
    given = {one.sha256 for one in now}
    for was in before or ():
        if was["distribution"] == FILE and was["sha256"] not in given:
            raise PluginError(
                f"this run was begun with the plugin file {was['path']}, which is not given now",
                fix=f"--plugin-file {was['path']}, unchanged",
            )
