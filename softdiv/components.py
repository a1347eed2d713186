"""Every component a config names, built before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.component import ComponentConfig, unique_names
from softdiv.config.load import ExperimentConfig
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.errors import ConfigError, PluginError
from softdiv.evaluation.null_bank import null_bank
from softdiv.pair.manager import pick_device
from softdiv.plugin.declared import declared
from softdiv.plugin.interfaces import Kind
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.registry import Registry
from softdiv.search.generator import NamedSearcher
from softdiv.training.deepspeed_config import deepspeed_config
from softdiv.training.soft_prompt import check_start


@attrs.frozen(kw_only=True)
class Components:
    """Every component the config names, built before any model is loaded."""

    processors: tuple[Any, ...]
    loss: Any
    searchers: tuple[NamedSearcher, ...]
    baselines: tuple[NamedSearcher, ...]
    metrics: DivergenceMetrics
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
            metrics=DivergenceMetrics(
                named("metrics", "evaluation.metrics", config.evaluation.metrics)
            ),
            analyzers=named("analyzers", "analysis.analyzers", config.analysis.analyzers),
            observers=tuple((observer, f"'{name}'") for name, observer in watching.items()),
        )
        if problems:
            raise ConfigError(problems)
        return made


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
        if config.training.engine.deepspeed_config is not None:
            deepspeed_config(config.training)
        null_bank(config)
        check_start(config.training)
        return cls(
            config=config,
            parts=Components.build(config, plugins),
            plugins=plugins,
        )
