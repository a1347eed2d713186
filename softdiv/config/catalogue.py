"""registry.toml and model_registry.yaml: known models, pairs and plugin packages.

A catalogue, never a switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.component import LoaderConfig
from softdiv.config.read import read_table
from softdiv.config.schema import PairConfig
from softdiv.config.shipped import home, resolve_shipped
from softdiv.errors import ConfigError, did_you_mean
from softdiv.plugin.interfaces import KINDS
from softdiv.plugin.options import structure
from softdiv.plugin.strict import shown


@attrs.frozen(kw_only=True)
class PairEntry:
    """A pair worth comparing."""

    name: str
    description: str = ""
    model_1: LoaderConfig
    model_2: LoaderConfig
    organism: str | None = None


@attrs.frozen(kw_only=True)
class PluginEntry:
    """A package known to provide components."""

    name: str
    package: str
    provides: tuple[str, ...] = ()
    """``kind:component``, e.g. ``metric:rank_overlap``; ``command:name`` too"""
    summary: str = ""

    @property
    def builtin(self) -> bool:
        """Shipped with softdiv itself: always loaded, never declared."""
        return self.package == "softdiv"


@attrs.frozen(kw_only=True)
class _Pairs:
    pairs: tuple[PairEntry, ...] = ()
    plugins: tuple[PluginEntry, ...] = ()


OWN = "model_registry.yaml"
"""The user's own catalogue, in the folder softdiv is run in."""


@attrs.frozen
class ModelRegistry:
    """``pair(name)`` finds both ``[[pairs]]`` and ``[[models]]`` (with its original).

    A ``model_registry.yaml`` holds the same lists; of a model, ``name`` and ``original`` are
    enough: without a ``path`` the name is the model's folder or hub id.
    """

    pairs: tuple[PairEntry, ...]
    plugins: tuple[PluginEntry, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> ModelRegistry:
        """Read one catalogue file, TOML or YAML by its ending.

        Without ``path``: :data:`OWN` where the working folder has one, then the shipped
        ``registry.toml``; of two entries with one name the first counts.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        if path is not None:
            return cls._read(Path(path))
        shipped = home() / "registry.toml"
        found = [cls._read(file) for file in (Path(OWN), shipped) if file.is_file()]
        return cls(
            tuple(entry for one in found for entry in one.pairs),
            tuple(entry for one in found for entry in one.plugins),
        )

    @classmethod
    def _read(cls, path: Path) -> ModelRegistry:
        table = read_table(path)
        models = table.pop("models", None) or []
        if not isinstance(models, list):
            raise ConfigError(f"{path}: models: expected a list, got {shown(models)}")
        made = structure(_Pairs, table)
        if isinstance(made, list):
            raise ConfigError([f"{path}: {p.path}: {p.message}" for p in made])
        return cls((*made.pairs, *(_published(path, model) for model in models)), made.plugins)

    def pair(self, name: str) -> PairConfig:
        """The two models of a named pair. Raises ConfigError with did-you-mean."""
        for entry in self.pairs:
            if entry.name == name:
                return PairConfig(
                    name=name,
                    model_1=_with_paths(entry.model_1),
                    model_2=_with_paths(entry.model_2),
                    organism=resolve_shipped(entry.organism) if entry.organism else None,
                )
        raise ConfigError(
            f"no pair '{name}' in registry.toml or {OWN}",
            fix=did_you_mean(name, [entry.name for entry in self.pairs]),
        )

    def packages(self) -> dict[str, str]:
        """Plugin name -> package, for plugins that are packages of their own."""
        return {plugin.name: plugin.package for plugin in self.plugins if not plugin.builtin}

    def hints(self) -> dict[tuple[str, str], str]:
        """(kind, component) -> how to get it."""
        plural = {singular(kind): kind for kind in KINDS}
        found = {}
        for plugin in (plugin for plugin in self.plugins if not plugin.builtin):
            for provided in plugin.provides:
                kind, _, component = provided.partition(":")
                advice = f'pip install {plugin.package}, then plugins = ["{plugin.name}"]'
                found[plural.get(kind, kind), component] = advice
        return found


def singular(kind: str) -> str:
    """``metrics`` as registry.toml's ``provides`` has it: ``metric``."""
    return {"losses": "loss"}.get(kind, kind.removesuffix("s"))


def resolve_pair(pair: PairConfig, registry: ModelRegistry) -> PairConfig:
    """Fill in the models of a pair given by name. Models given in the config win."""
    if pair.name is None or (pair.model_1 and pair.model_2):
        return pair
    known = registry.pair(pair.name)
    return attrs.evolve(
        pair,
        model_1=pair.model_1 or known.model_1,
        model_2=pair.model_2 or known.model_2,
        organism=pair.organism or known.organism,
    )


def _published(path: Path, model: Any) -> PairEntry:
    if not isinstance(model, Mapping):
        raise ConfigError(f"{path}: a model is a table with name and original, got {shown(model)}")
    options = dict(model)
    words = {key: options.pop(key, None) for key in ("name", "original")}
    for key, value in words.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{path}: a model without '{key}' as text")
    description, loader = options.pop("description", ""), options.pop("loader", "hf")
    if not isinstance(description, str) or not isinstance(loader, str):
        raise ConfigError(f"{path}: model '{words['name']}': description and loader are text")
    first = {"path": words["original"]}
    for key in ("dtype", *(("revision",) if "adapter" in options else ())):
        if key in options:
            first[key] = options[key]
    changed = {"adapter", "quantize"} & options.keys()  # the original itself, changed on loading
    own = words["original"] if changed else words["name"]
    return PairEntry(
        name=words["name"],
        description=description,
        model_1=LoaderConfig(loader, first),
        model_2=LoaderConfig(loader, {"path": own, **options}),
    )


def _with_paths(config: LoaderConfig) -> LoaderConfig:
    return attrs.evolve(config, options=located(config.options))


def located(options: Mapping[str, Any]) -> dict[str, Any]:
    """A loader's options, with paths of what comes with softdiv wherever that is installed."""
    found = dict(options)
    for key in ("path", "adapter"):
        if isinstance(found.get(key), str):
            found[key] = resolve_shipped(found[key])
    return found
