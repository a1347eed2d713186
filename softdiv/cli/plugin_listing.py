"""What there is to know about plugins without importing one: metadata, source and registry.toml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from packaging.requirements import InvalidRequirement, Requirement

from softdiv import __version__
from softdiv.cli.plugin_source import located, stated_components, stated_kinds
from softdiv.errors import did_you_mean
from softdiv.plugin.declared import declared
from softdiv.plugin.discovery import Installed, installed

if TYPE_CHECKING:
    from softdiv.config.catalogue import PluginEntry


@attrs.frozen(kw_only=True)
class Listed:
    """One line of ``softdiv plugins list``."""

    name: str
    package: str
    version: str | None
    """None when the package is not installed."""
    provides: tuple[str, ...] = ()
    """``kind:component``, or only ``kind`` where the source does not say the name."""
    declared: bool = False
    builtin: bool = False
    summary: str = ""
    problems: tuple[str, ...] = ()
    """Why declaring it would fail, each with its remedy; what only an import can tell is not here:
    ``softdiv plugins check``."""

    @property
    def status(self) -> str:
        """One phrase for the table."""
        if self.problems:
            return "; ".join(self.problems)
        if self.builtin:
            return "built in"
        if self.version is None:
            return f"not installed: pip install {self.package}"
        return "declared" if self.declared else "installed"


def declared_names(config: Path | None) -> tuple[str, ...]:
    """Plugins named by a config and by ``SOFTDIV_PLUGINS``, each once."""
    if config is None:
        return declared()
    from softdiv.config.load import ExperimentConfig

    return declared(ExperimentConfig.from_file(config).plugins)


def listing(declared: Iterable[str] = ()) -> tuple[Listed, ...]:
    """Installed plugins by name, declared ones that are missing, then known ones and built-ins."""
    from softdiv.config.catalogue import ModelRegistry

    known = {entry.name: entry for entry in ModelRegistry.load().plugins}
    return tuple(_listing(tuple(declared), known))


def _listing(declared: tuple[str, ...], known: Mapping[str, PluginEntry]) -> Iterator[Listed]:
    plugins = installed()
    for plugin in plugins:
        entry = known.get(plugin.name)
        yield Listed(
            name=plugin.name,
            package=plugin.distribution,
            version=plugin.version,
            provides=_provides(plugin, entry),
            declared=plugin.name in declared,
            summary=_summary(plugin) or (entry.summary if entry else ""),
            problems=tuple(_problems(plugin, plugins)),
        )
    names = [plugin.name for plugin in plugins]
    for name in (n for n in declared if n not in names and n not in known):
        hint = did_you_mean(name, [*names, *known])
        yield Listed(
            name=name,
            package="?",
            version=None,
            declared=True,
            problems=(f"declared, but not installed ({hint})",),
        )
    for entry in known.values():
        if entry.name not in names:
            missing = entry.name in declared and not entry.builtin
            fix = f"declared, but not installed: pip install {entry.package}"
            yield Listed(
                name=entry.name,
                package=entry.package,
                version=__version__ if entry.builtin else None,
                provides=entry.provides,
                declared=entry.name in declared,
                builtin=entry.builtin,
                summary=entry.summary,
                problems=(fix,) if missing else (),
            )


def _provides(plugin: Installed, entry: PluginEntry | None) -> tuple[str, ...]:
    from softdiv.config.catalogue import singular

    stated = stated_components(plugin.module)
    found = [f"{singular(component.kind)}:{component.name}" for component in stated]
    named = {component.kind for component in stated}
    found += [singular(kind) for kind in stated_kinds(plugin.module) if kind not in named]
    return tuple(found) or (entry.provides if entry else ())


def _summary(plugin: Installed) -> str:
    about = metadata.metadata(plugin.distribution)
    return next((about[key] for key in about if key == "Summary"), "")


def _problems(plugin: Installed, plugins: Iterable[Installed]) -> Iterator[str]:
    for other in plugins:
        if other.name == plugin.name and other != plugin:
            yield f"{other.distribution} {other.version} has the same name: uninstall one of them"
    for requirement in _needs_softdiv(plugin):
        if not requirement.specifier.contains(__version__, prereleases=True):
            needs = f"needs softdiv {requirement.specifier}, this is {__version__}"
            yield f"{needs}: pip install -U {plugin.distribution}"
    module = plugin.module.partition(":")[0]
    if located(module) is None:
        fix = f"pip install --force-reinstall {plugin.distribution}"
        yield f"its module {module} is not there: {fix}"


def _needs_softdiv(plugin: Installed) -> Iterator[Requirement]:
    for line in metadata.requires(plugin.distribution) or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # pip's to refuse, not ours
        if requirement.name == "softdiv":
            yield requirement
