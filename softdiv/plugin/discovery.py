"""Which plugins are installed: read from package metadata, importing nothing."""

from __future__ import annotations

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
    """Every installed plugin, sorted by name then distribution; none is imported."""
    found = []
    for distribution in metadata.distributions():
        for point in distribution.entry_points:
            if point.group == GROUP:
                found.append(
                    Installed(
                        name=point.name,
                        module=point.value,
                        distribution=distribution.metadata["Name"] or "unknown",
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
            f"plugin '{name}' is provided by two packages: {owners}", fix="uninstall one of them"
        )
    if not matches:
        package = (packages or {}).get(name)
        fix = (
            f"pip install {package}"
            if package
            else did_you_mean(name, [plugin.name for plugin in plugins])
        )
        raise PluginError(f"plugin '{name}' is not installed", fix=fix)
    return matches[0]
