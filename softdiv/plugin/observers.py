"""Tells the observers what happens. A failing observer is named and set aside; the run goes on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pluggy

from softdiv.errors import PluginError
from softdiv.plugin.hookspecs import PROJECT, Hooks, lifecycle_hooks

Failure = Callable[[str, str], None]
"""Receives (one-line attribution, full traceback)."""


def _ignore(line: str, trace: str) -> None:
    """Default for :attr:`Observers.on_failure`; failures stay in :attr:`Observers.failures`."""


@attrs.define(eq=False)
class Observers:
    """The observers of one run, called one by one in the config's order.

    Each is its own pluggy caller, so one that raises cannot keep the next from being told.
    """

    on_failure: Failure = _ignore
    failures: list[str] = attrs.field(init=False, factory=list)
    _callers: list[tuple[str, pluggy.PluginManager]] = attrs.field(init=False, factory=list)

    def add(self, observer: object, label: str) -> None:
        """Add an observer.

        Raises:
            PluginError: it implements no hook or an unknown one, or asks for unknown arguments.
        """
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        try:
            manager.register(observer, name=label)
            manager.check_pending()
        except (pluggy.PluginValidationError, ValueError, TypeError) as error:
            why = " ".join(str(error).split())
            raise PluginError(f"observer {label} breaks the contract", why=why) from error
        if not manager.get_hookcallers(observer):
            raise PluginError(
                f"observer {label} implements no hook",
                fix="mark its methods with @softdiv.hookimpl, and pass an instance, not a class",
            )
        self._callers.append((label, manager))

    def tell(self, hook: str, event: Any) -> None:
        """Call ``softdiv_<hook>`` of every observer with ``event``."""
        name = f"softdiv_{hook}"
        if name not in _LIFECYCLE:
            raise LookupError(name)
        for label, manager in list(self._callers):
            try:
                getattr(manager.hook, name)(event=event)
            except Exception as error:  # the contract: attributed, dropped, and the run goes on
                line = f"observer {label} failed in {hook}: {type(error).__name__}: {error}"
                self.failures.append(line)
                self._callers = [pair for pair in self._callers if pair[1] is not manager]
                self.on_failure(line, traceback.format_exc())

    @classmethod
    def of(
        cls, observers: Iterable[tuple[object, str]], on_failure: Failure = _ignore
    ) -> Observers:
        """A hub with these (observer, label) pairs."""
        hub = cls(on_failure)
        for observer, label in observers:
            hub.add(observer, label)
        return hub


_LIFECYCLE = frozenset(lifecycle_hooks())
