"""Which plugins are installed: read from package metadata, importing nothing."""

from __future__ import annotations

import re
from importlib import metadata

import attrs

from softdiv.errors import PluginError, did_you_mean

GROUP = "softdiv"


@attrs.frozen
class Installed:
    """An entry point of group ``softdiv`` in an installed distribution."""

    name: str
    module: str
    distribution: str
    version: str

    @property
    def label(self) -> str:
        """``name (distribution version)``, as every message about a plugin says it."""
        return f"'{self.name}' ({self.distribution} {self.version})"


def installed() -> tuple[Installed, ...]:
    """Every installed plugin, sorted by name then distribution; none is imported.

    Of a distribution that is on the path twice, the first one counts: it is what an import finds.
    """
    found, seen = [], set()
    for distribution in metadata.distributions():
        points = [point for point in distribution.entry_points if point.group == GROUP]
        if not points:
            continue
        name = distribution.metadata["Name"] or "unknown"
        if _normalized(name) in seen:
            continue
        seen.add(_normalized(name))
        for point in points:
            found.append(
                Installed(
                    name=point.name,
                    module=point.value,
                    distribution=name,
                    version=distribution.version or "unknown",
                )
            )
    return tuple(sorted(set(found), key=lambda plugin: (plugin.name, plugin.distribution)))


def find(name: str, packages: dict[str, str] | None = None) -> Installed:
    """The installed plugin of this name.

    Args:
        packages: known plugin name -> package that provides it, for the hint.

    Raises:
        PluginError: it is not installed, or two distributions claim the name.
    """
    plugins = installed()
    matches = [plugin for plugin in plugins if plugin.name == name]
    if len(matches) > 1:
        owners = " and ".join(f"{p.distribution} {p.version}" for p in matches)
        raise PluginError(
            f"plugin '{name}' is provided by two packages: {owners}",
            fix=f"pip uninstall {matches[-1].distribution}, or the other",
        )
    if not matches:
        known = packages or {}
        if name in known:
            raise PluginError(
                f"plugin '{name}' is known but not installed", fix=f"pip install {known[name]}"
            )
        raise PluginError(
            f"plugin '{name}' is not installed",
            fix=did_you_mean(name, {*known, *(plugin.name for plugin in plugins)}),
        )
    return matches[0]


def _normalized(distribution: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
