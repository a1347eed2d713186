"""Checks of observers, which are told the events of a small run."""

from __future__ import annotations

import inspect
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from softdiv.errors import PluginError
from softdiv.plugin.hookspecs import lifecycle_hooks
from softdiv.plugin.observers import Observers
from softdiv.plugin.state import pack, unpack
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, Subject, checks_in, require
from softdiv.testing.snapshot import snapshot
from softdiv.testing.story import STEPS, Story, prompt, tell_whole_run


def check_hooks_take_event(subject: Subject) -> None:
    """At least one hook, every ``softdiv_`` method a known one, each taking ``event``."""
    observer = subject.make()
    known = lifecycle_hooks()
    named = [n for n in dir(type(observer)) if n.startswith("softdiv_") and n in known]
    for name in named:
        method = inspect.getattr_static(type(observer), name)
        taken = list(inspect.signature(method).parameters)[1:]
        require(taken == ["event"], f"{name} takes ({', '.join(taken)}), not (event)")
        require(hasattr(method, "softdiv_impl"), f"{name} is not marked with @softdiv.hookimpl")
    try:
        Observers().add(observer, "under test")
    except PluginError as error:
        require(False, error.why or error.what)


def check_logs_finite_numbers(subject: Subject) -> None:
    """What it logs can be plotted: finite numbers, under names of its own."""
    for seen in tell_whole_run(subject.make(), prompt()).metrics:
        strange = [name for name, value in seen.items() if not math.isfinite(value)]
        require(not strange, f"it logs NaN or infinity as {strange}")


def check_run_without_training(subject: Subject) -> None:
    """A continued run may have trained before: no training hook is called then."""
    with _story(subject.make()) as story:
        story.start()
        story.search_and_report()
        story.end()


def check_run_that_fails_early(subject: Subject) -> None:
    """``run_end`` comes also when loading a model failed: nothing but ``run_start`` was before."""
    with _story(subject.make()) as story:
        story.start()
        story.end(error=ValueError("a model cannot be loaded"))


def check_state_round_trip(subject: Subject) -> None:
    """``state_dict`` can be kept in a checkpoint; a fresh observer that loads it has the same."""
    first, second = subject.make(), subject.make()
    has = [hasattr(first, name) for name in ("state_dict", "load_state_dict")]
    require(has[0] == has[1], "it has only one of state_dict and load_state_dict")
    if not has[0]:
        return
    half = STEPS // 2
    with _story(first) as story, _story(second) as resumed:
        story.start()
        story.train(range(half), ends=False)
        state = _kept(first)
        resumed.start()
        second.load_state_dict(state)
        require(
            snapshot(_kept(second)) == snapshot(state),
            "a fresh observer that loads the state_dict has another one afterwards",
        )
        story.end()
        resumed.end()


def _kept(observer: Any) -> Any:
    """Its state as a checkpoint gives it back."""
    try:
        return unpack(pack(observer.state_dict()))
    except TypeError as error:
        require(False, str(error))


@contextmanager
def _story(observer: object) -> Iterator[Story]:
    with tempfile.TemporaryDirectory() as folder:
        yield Story(observer=observer, prompt=prompt(), folder=Path(folder))


KIT = Kit(
    kind="observers",
    inputs=prompt,
    call=tell_whole_run,
    stateful=True,
    checks=(*EVERY_KIND, *checks_in(globals())),
)
