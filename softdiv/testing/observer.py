"""Checks of observers, which are told the events of a small run."""

from __future__ import annotations

import inspect
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from softdiv.errors import PluginError
from softdiv.plugin.hookspecs import lifecycle_hooks
from softdiv.plugin.observers import Observers
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, Subject, require
from softdiv.testing.snapshot import snapshot
from softdiv.testing.story import STEPS, Story, prompt, tell_whole_run, values_only


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


def check_numbers_are_kept(subject: Subject) -> None:
    """The core's numbers of a step stay as they are; what is added is a finite number."""
    told = tell_whole_run(subject.make(), prompt())
    for own, seen in zip(told.own, told.metrics, strict=True):
        changed = [name for name, value in own.items() if seen.get(name) != value]
        require(not changed, f"it changes or removes {changed} of event.metrics: use event.log")
        strange = [
            name for name, value in seen.items() if type(value) is not float or math.isinf(value)
        ]
        require(not strange, f"{strange} in event.metrics is no finite float: use event.log")


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
    """``state_dict`` is JSON, and a fresh observer that loads it goes on as the first would."""
    first, second = subject.make(), subject.make()
    has = [hasattr(first, name) for name in ("state_dict", "load_state_dict")]
    require(has[0] == has[1], "it has only one of state_dict and load_state_dict")
    if not has[0]:
        return
    half = STEPS // 2
    with _story(first) as story, _story(second) as resumed:
        story.start()
        story.train(range(half), ends=False)
        state = _as_json(first.state_dict())
        require(
            snapshot(first.state_dict()) == snapshot(state),
            "its state_dict changes when it is written as JSON: use lists, text keys and numbers",
        )
        resumed.start()
        second.load_state_dict(_as_json(state))
        require(
            snapshot(second.state_dict()) == snapshot(state),
            "a fresh observer that loads the state_dict has another one afterwards",
        )
        story.end()
        resumed.end()


def _as_json(state: Any) -> Any:
    try:
        return json.loads(json.dumps(state))
    except (TypeError, ValueError) as error:
        require(False, f"its state_dict cannot be written as JSON: {error}")


@contextmanager
def _story(observer: object) -> Iterator[Story]:
    with tempfile.TemporaryDirectory() as folder:
        yield Story(observer=observer, prompt=prompt(), folder=Path(folder))


KIT = Kit(
    kind="observers",
    inputs=prompt,
    call=tell_whole_run,
    watched=values_only,
    stateful=True,
    checks=(
        *EVERY_KIND,
        check_hooks_take_event,
        check_numbers_are_kept,
        check_run_without_training,
        check_run_that_fails_early,
        check_state_round_trip,
    ),
)
