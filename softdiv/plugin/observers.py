"""Tells the observers what happens. A failing observer is named and set aside; the run goes on."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import pluggy

from softdiv.plugin.contract import check_observer, hook_callers
from softdiv.plugin.events import PromptCopy
from softdiv.plugin.failures import FOREIGN, Failures
from softdiv.plugin.hookspecs import Event, Hooks
from softdiv.plugin.isolation import ProcessState
from softdiv.plugin.state import pack, unpack
from softdiv.plugin.trace import traced
from softdiv.plugin.watchdog import HOOK_TIMEOUT, Overdue, TimeLimit, limit_of


@attrs.frozen(eq=False)
class _Watcher:
    """One observer, called by itself, so that it cannot keep the next from being told."""

    observer: Any
    name: str
    """in the config; its state is kept under it"""
    label: str
    """in messages"""
    hooks: Mapping[str, pluggy.HookCaller]
    """by name"""


@attrs.define(eq=False)
class Observers:
    """The observers of one run, called one by one in the config's order, on every rank.

    None can change the run but through its event: see :mod:`softdiv.plugin.isolation`. What one of
    them draws from a global random generator is drawn again next time; use a generator of your own.
    """

    attribution: Failures = attrs.field(factory=Failures)
    failures: list[str] = attrs.field(init=False, factory=list)
    """One line per failure, and per thing that an observer did and should not."""
    _watchers: list[_Watcher] = attrs.field(init=False, factory=list)
    _closely: bool = attrs.field(init=False, default=False)
    """One of several changed a random state: from now on each is checked by itself."""
    _seconds: float = attrs.field(init=False, factory=lambda: limit_of(HOOK_TIMEOUT))

    @classmethod
    def of(
        cls,
        observers: Iterable[tuple[object, str]],
        attribution: Failures | None = None,
    ) -> Observers:
        """A hub with these (observer, quoted name) pairs.

        Args:
            attribution: knows which plugin an observer came from, and writes failures down.
        """
        hub = cls(attribution or Failures())
        for observer, label in observers:
            hub.add(observer, label)
        return hub

    def add(self, observer: object, label: str) -> None:
        """Add an observer.

        Raises:
            PluginError: it implements no hook or an unknown one, or asks for unknown arguments.
        """
        who = self.attribution.who(observer)
        check_observer(observer, f"{who}: observer {label}" if who else f"observer {label}")
        hooks = hook_callers(observer, label, f"observer {label}")
        name = label.strip("'")
        if who is None:
            who = f"observer {label}"
        elif not who.startswith(f"plugin {label} "):  # a plugin may bring several observers
            who = f"{who}, observer {label},"
        self._watchers.append(_Watcher(observer, name, who, hooks))

    def hears(self, hook: Callable[[Hooks, Event], None]) -> bool:
        """Whether any observer implements a lifecycle hook."""
        return any(hook.__name__ in watcher.hooks for watcher in self._watchers)

    def tell(self, hook: Callable[[Hooks, Event], None], event: Event) -> None:
        """Call a lifecycle hook of every observer: ``tell(Hooks.softdiv_step_end, event)``."""
        told = [w for w in self._watchers if hook.__name__ in w.hooks]
        if not told:
            return
        name = hook.__name__.removeprefix("softdiv_")
        copy, state = PromptCopy.of(event), ProcessState(cheap=False, dear=not self._closely)
        for watcher in told:
            call = partial(watcher.hooks[hook.__name__], event=event)
            self._guarded(watcher, name, call, closely=self._closely)
            if copy is not None and copy.renewed():
                self._name([watcher], "wrote to event.prompt, which is a copy,", name)
        for what in state.restore():
            # rarely: reading these after every call costs more than all the rest
            self._closely = True
            self._name(told, f"changed {what}, which was put back,", name)

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state of every observer that has ``state_dict``, by its name."""
        found = {}
        for watcher in list(self._watchers):
            if hasattr(watcher.observer, "state_dict"):
                read = partial(_state_of, watcher.observer)
                found[watcher.name] = self._guarded(watcher, "state_dict", read)
        return {name: state for name, state in found.items() if state is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give every observer its state back; a missing or renamed one is noted, not an error."""
        able = [w for w in self._watchers if hasattr(w.observer, "load_state_dict")]
        for watcher in able:
            if watcher.name not in state:
                self._note(f"{watcher.label} has no kept state and starts anew")
                continue
            load = partial(watcher.observer.load_state_dict, state[watcher.name])
            self._guarded(watcher, "load_state_dict", load)
        for name in sorted(set(state) - {watcher.name for watcher in able}):
            self._note(f"no observer is named '{name}' any more; its kept state is not used")

    def _guarded(
        self, watcher: _Watcher, hook: str, call: Callable[[], Any], *, closely: bool = True
    ) -> Any:
        """The call's value; None if it failed, which drops the observer."""
        printed, state = io.StringIO(), ProcessState(dear=closely)
        try:
            with (
                traced(f"softdiv_{hook}", watcher.label),
                contextlib.redirect_stdout(printed),
                TimeLimit(self._seconds),
            ):
                return call()
        except SURVIVED as error:  # the contract: attributed, dropped, the run goes on
            self._watchers = [w for w in self._watchers if w is not watcher]
            line = self.attribution.add(watcher.observer, hook, error, watcher.label)
            self.failures.append(line)
            return None
        finally:
            for what in state.restore():
                self._name([watcher], f"changed {what}, which was put back,", hook)
            if text := printed.getvalue():
                self._name([watcher], "printed to standard output", hook, text)

    def _name(self, suspects: Sequence[_Watcher], did: str, hook: str, details: str = "") -> None:
        who = " or ".join(watcher.label for watcher in suspects)
        self._note(f"{who} {did} in {hook}", details)

    def _note(self, line: str, details: str = "") -> None:
        if line not in self.failures:  # once per observer, hook and kind; not once per step
            self.failures.append(line)
            self.attribution.note(line, details)


def _state_of(observer: Any) -> Any:
    return unpack(pack(observer.state_dict()))


SURVIVED: tuple[type[BaseException], ...] = (*FOREIGN, Overdue)
