"""Components from their tables in a config: the one way, for a run and for stand-alone classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.catalogue import ModelRegistry
from softdiv.config.component import ComponentConfig, unique_names
from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError, PluginError
from softdiv.plugin.interfaces import Kind
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.registry import Registry


def plugins_of(config: ExperimentConfig, files: Sequence[Path] = ()) -> PluginManager:
    """The config's plugins, and then local plugin files, loaded.

    Raises:
        PluginError: one is missing, fails to import, or breaks the contract.
    """
    catalogue = ModelRegistry.load()
    return PluginManager.load(
        config.plugins, files=files, hints=catalogue.hints(), packages=catalogue.packages()
    )


@attrs.define(eq=False)
class Builder:
    """Builds components and gathers what is wrong with any of them."""

    registry: Registry
    problems: list[str] = attrs.field(init=False, factory=list)

    def named(self, kind: Kind, where: str, wanted: Sequence[ComponentConfig]) -> dict[str, Any]:
        """By the names they have in the report; those with problems are left out."""
        found = {}
        for index, (name, one) in enumerate(zip(unique_names(wanted), wanted, strict=True)):
            try:
                found[name] = self.registry.build_guarded(kind, one.name, one.options)
            except ConfigError as error:
                self.problems += [f"{where}[{index}]: {line}" for line in error.problems]
            except PluginError as error:
                self.problems.append(f"{where}[{index}]: {error}")
        return found

    def check(self) -> None:
        """Raises ConfigError with every problem so far."""
        if self.problems:
            raise ConfigError(self.problems)


def built(
    registry: Registry, kind: Kind, where: str, wanted: Sequence[ComponentConfig]
) -> dict[str, Any]:
    """Components of one kind. Raises ConfigError with the problems of all of them."""
    builder = Builder(registry)
    found = builder.named(kind, where, wanted)
    builder.check()
    return found
