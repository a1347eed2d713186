"""Component names to factories, one table per kind, remembering which plugin brought each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from typing_extensions import TypeVar

from softdiv.errors import PluginError, SoftdivError, did_you_mean
from softdiv.plugin.failures import FOREIGN, reason
from softdiv.plugin.guarded import GuardedLoss, GuardedProcessor
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.options import build_options

Factory = Callable[..., Any]


C_contra = TypeVar("C_contra", default=Any, contravariant=True)
"""The protocol that a kind of component keeps."""


class Register(Protocol[C_contra]):
    """What a registration hook is given: ``Register[Loss]`` takes what makes losses.

    mypy then says at the author's desk what a factory's product lacks.
    """

    def __call__(self, name: str, factory: Callable[..., C_contra]) -> None:
        """Offer ``factory`` under ``name``. Raises PluginError if the name is taken."""


@attrs.frozen
class Entry:
    """One registered component."""

    kind: Kind
    name: str
    factory: Factory
    plugin: str
    """``'name' (distribution version)`` of the plugin that registered it."""
    builtin: bool = False


@attrs.define(eq=False)
class Registry:
    """Every component a run can name. Fresh per run; nothing here is global."""

    _entries: dict[Kind, dict[str, Entry]] = attrs.field(
        init=False, factory=lambda: {kind: {} for kind in KINDS}
    )
    hints: Mapping[tuple[str, str], str] = attrs.field(factory=dict)
    """(kind, name) -> how to get a component that a known but undeclared package provides."""
    caution: str = ""
    """Said beside every unknown name, e.g. that plugins are switched off."""
    _built: list[tuple[object, Entry]] = attrs.field(init=False, factory=list)

    def add(
        self, kind: Kind, name: str, factory: Factory, plugin: str, *, builtin: bool = False
    ) -> None:
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
        self._entries[kind][name] = Entry(kind, name, factory, plugin, builtin)

    def entries(self, *kinds: Kind) -> tuple[Entry, ...]:
        """Of these kinds, by default of all, in the order they were registered."""
        return tuple(entry for kind in kinds or KINDS for entry in self._entries[kind].values())

    def find(self, kind: Kind, name: str) -> Entry:
        """Raises PluginError with the closest known name, or the package that provides it."""
        entry = self._entries[kind].get(name)
        if entry is None:
            hint = self.hints.get((kind, name)) or did_you_mean(name, self._entries[kind])
            hint = f"{self.caution}; {hint}" if self.caution else hint
            raise PluginError(f"no {_one(kind)} '{name}'", fix=hint)
        return entry

    def build(self, kind: Kind, name: str, options: Mapping[str, Any]) -> Any:
        """The component ``name`` built from its options, strictly.

        Raises:
            PluginError: unknown name.
            ConfigError: unknown, missing or mistyped options (all of them at once).
        """
        entry = self.find(kind, name)
        try:
            made = build_options(entry.factory, options, where=f"{_one(kind)} '{name}'")
        except SoftdivError:
            raise
        except FOREIGN as error:
            raise PluginError(
                f"plugin {entry.plugin} failed to build {_one(kind)} '{name}'", why=reason(error)
            ) from error
        self._built.append((made, entry))
        return made

    def build_guarded(self, kind: Kind, name: str, options: Mapping[str, Any]) -> Any:
        """As :meth:`build`; calls of a loss or a processor then name its plugin when they fail."""
        made, entry = self.build(kind, name, options), self.find(kind, name)
        field, allowed = _CLASSES.get(kind, ("", ()))
        if field and getattr(made, field, None) not in allowed:
            raise PluginError(
                f"plugin {entry.plugin} breaks the contract",
                why=f"{_one(kind)} '{name}' has {field} {getattr(made, field, None)!r}",
                fix=f"set the class attribute {field} to one of {', '.join(allowed)}",
            )
        if kind == "losses":
            return GuardedLoss(made, entry.plugin, name)
        if kind == "processors":
            return GuardedProcessor(made, entry.plugin, name)
        return made

    def origin(self, component: object) -> Entry | None:
        """Who registered what ``component`` was built from; None if it was not built here."""
        return next((entry for made, entry in self._built if made is component), None)


_CLASSES: Mapping[Kind, tuple[str, tuple[str, ...]]] = {
    "metrics": ("level", ("token", "response")),
    "searchers": ("role", ("proposer", "refiner", "baseline")),
}
"""Class attributes without which the core does not know when to call a component."""


def _one(kind: str) -> str:
    return {"losses": "loss", "models": "model loader"}.get(kind, kind.removesuffix("s"))
