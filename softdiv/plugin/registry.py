"""Component names to factories, one table per kind, remembering which plugin brought each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from softdiv.errors import PluginError, did_you_mean
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.options import build_options

Factory = Callable[..., Any]


class Register(Protocol):
    """What a registration hook is given."""

    def __call__(self, name: str, factory: Factory) -> None:
        """Offer ``factory`` under ``name``. Raises PluginError if the name is taken."""


@attrs.frozen
class Entry:
    """One registered component."""

    kind: Kind
    name: str
    factory: Factory
    plugin: str
    """``name (distribution version)`` of the plugin that registered it."""


@attrs.define(eq=False)
class Registry:
    """Every component a run can name. Fresh per run; nothing here is global."""

    _entries: dict[Kind, dict[str, Entry]] = attrs.field(
        init=False, factory=lambda: {kind: {} for kind in KINDS}
    )
    hints: Mapping[tuple[str, str], str] = attrs.field(factory=dict)
    """(kind, name) -> how to get a component that a known but undeclared package provides."""

    def add(self, kind: Kind, name: str, factory: Factory, plugin: str) -> None:
        """Register ``factory`` under ``name``.

        Raises:
            PluginError: the name is taken by another plugin, or the factory is no attrs class.
        """
        taken = self._entries[kind].get(name)
        if taken is not None:
            raise PluginError(
                f"two plugins register {_one(kind)} '{name}': {taken.plugin} and {plugin}",
                fix="remove one of them from plugins",
            )
        if not (isinstance(factory, type) and attrs.has(factory)):
            raise PluginError(
                f"plugin {plugin} registers {_one(kind)} '{name}' with {factory!r}",
                why="a factory is an attrs class whose fields are its options",
                fix="decorate it with @attrs.frozen(kw_only=True)",
            )
        self._entries[kind][name] = Entry(kind, name, factory, plugin)

    def entries(self, kind: Kind) -> tuple[Entry, ...]:
        """All components of a kind in the order they were registered."""
        return tuple(self._entries[kind].values())

    def find(self, kind: Kind, name: str) -> Entry:
        """Raises PluginError with the closest known name, or the package that provides it."""
        entry = self._entries[kind].get(name)
        if entry is None:
            hint = self.hints.get((kind, name)) or did_you_mean(name, self._entries[kind])
            raise PluginError(f"no {_one(kind)} '{name}'", fix=hint)
        return entry

    def build(self, kind: Kind, name: str, options: Mapping[str, Any]) -> Any:
        """The component ``name`` built from its options, strictly.

        Raises:
            PluginError: unknown name.
            ConfigError: unknown, missing or mistyped options (all of them at once).
        """
        entry = self.find(kind, name)
        return build_options(entry.factory, options, where=f"{_one(kind)} '{name}'")


def _one(kind: str) -> str:
    return {"losses": "loss", "models": "model loader"}.get(kind, kind.removesuffix("s"))
