"""Every component a config names, built before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.component import ComponentConfig
from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError, PluginError
from softdiv.pair.manager import pick_device
from softdiv.plugin.declared import declared
from softdiv.plugin.interfaces import Kind
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.registry import Registry
from softdiv.search.generator import NamedSearcher


@attrs.frozen(kw_only=True)
class Components:
    """Every component the config names, built before any model is loaded."""

    processors: tuple[Any, ...]
    loss: Any
    searchers: tuple[NamedSearcher, ...]
    baselines: tuple[NamedSearcher, ...]
    metrics: dict[str, Any]
    analyzers: dict[str, Any]
    observers: tuple[tuple[object, str], ...]

    @classmethod
    def build(cls, config: ExperimentConfig, plugins: PluginManager) -> Components:
        """Raises ConfigError with the problems of all components at once."""
        problems: list[str] = []

        def built(kind: Kind, where: str, wanted: Sequence[ComponentConfig]) -> list[Any]:
            found = []
            for index, component in enumerate(wanted):
                try:
                    registry = plugins.registry
                    found.append(registry.build_guarded(kind, component.name, component.options))
                except ConfigError as error:
                    problems.extend(f"{where}[{index}]: {line}" for line in error.problems)
                except PluginError as error:
                    problems.append(f"{where}[{index}]: {error}")
            return found

        def named(kind: Kind, where: str, wanted: Sequence[ComponentConfig]) -> dict[str, Any]:
            return dict(zip(unique_names(wanted), built(kind, where, wanted), strict=False))

        generation = config.generation
        searchers = named("searchers", "generation.searchers", generation.searchers)
        baselines = named("searchers", "generation.baselines", generation.baselines)
        watching = named("observers", "observers", config.observers)
        made = cls(
            processors=tuple(built("processors", "data.processors", config.data.processors)),
            loss=next(iter(built("losses", "training.loss", [config.training.loss])), None),
            searchers=tuple(NamedSearcher(n, s) for n, s in searchers.items()),
            baselines=tuple(NamedSearcher(n, s) for n, s in baselines.items()),
            metrics=named("metrics", "evaluation.metrics", config.evaluation.metrics),
            analyzers=named("analyzers", "analysis.analyzers", config.analysis.analyzers),
            observers=tuple((observer, f"'{name}'") for name, observer in watching.items()),
        )
        if problems:
            raise ConfigError(problems)
        return made


def unique_names(components: Sequence[ComponentConfig]) -> list[str]:
    """Names for the report; a component used twice gets ``name``, ``name-2``, ..."""
    counts: dict[str, int] = {}
    names = []
    for component in components:
        counts[component.name] = number = counts.get(component.name, 0) + 1
        names.append(component.name if number == 1 else f"{component.name}-{number}")
    return names


@attrs.frozen(kw_only=True)
class Prepared:
    """A configuration with its pair filled in, and everything built that needs no model."""

    config: ExperimentConfig
    parts: Components
    plugins: PluginManager

    @property
    def registry(self) -> Registry:
        """Every component that can be built."""
        return self.plugins.registry

    @classmethod
    def of(cls, config: ExperimentConfig, plugin_files: Sequence[Path] = ()) -> Prepared:
        """Load the plugins and build the components.

        Args:
            plugin_files: local plugin files, loaded after ``config.plugins``.

        Raises:
            ConfigError or PluginError: whatever can be known before a model is loaded.
        """
        catalogue = ModelRegistry.load()
        plugins = PluginManager.load(
            config.plugins,
            files=plugin_files,
            hints=catalogue.hints(),
            packages=catalogue.packages(),
        )
        config = attrs.evolve(
            config,
            plugins=declared(config.plugins),
            pair=resolve_pair(config.pair, catalogue),
        )
        pick_device(config.device)
        return cls(
            config=config,
            parts=Components.build(config, plugins),
            plugins=plugins,
        )
