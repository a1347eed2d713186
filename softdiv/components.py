"""Every component a config names, built before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.absolute import with_absolute_paths
from softdiv.config.build import Builder, plugins_of
from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.load import ExperimentConfig
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.evaluation.null_bank import null_bank
from softdiv.pair.manager import pick_device
from softdiv.plugin.declared import declared
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
        builder = Builder(plugins.registry)
        named = builder.named
        generation = config.generation
        searchers = named("searchers", "generation.searchers", generation.searchers)
        baselines = named("searchers", "generation.baselines", generation.baselines)
        watching = named("observers", "observers", config.observers)
        made = cls(
            processors=tuple(
                named("processors", "data.processors", config.data.processors).values()
            ),
            loss=next(
                iter(named("losses", "training.loss", [config.training.loss]).values()), None
            ),
            searchers=tuple(NamedSearcher(n, s) for n, s in searchers.items()),
            baselines=tuple(NamedSearcher(n, s) for n, s in baselines.items()),
            metrics=DivergenceMetrics(
                named("metrics", "evaluation.metrics", config.evaluation.metrics)
            ),
            analyzers=named("analyzers", "analysis.analyzers", config.analysis.analyzers),
            observers=tuple((observer, f"'{name}'") for name, observer in watching.items()),
        )
        builder.check()
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
        """Load the plugins, the local files last, and build the components.

        Raises:
            ConfigError or PluginError: whatever can be known before a model is loaded.
        """
        plugins = plugins_of(config, plugin_files)
        config = with_absolute_paths(
            attrs.evolve(
                config,
                plugins=declared(config.plugins),
                pair=resolve_pair(config.pair, ModelRegistry.load()),
            )
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
