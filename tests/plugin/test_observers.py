"""The config's order, and one failing observer does not silence the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softdiv import hookimpl
from softdiv.errors import PluginError
from softdiv.plugin.events import RunEvent
from softdiv.plugin.failures import Failures
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.observers import Observers


class Recorder:
    def __init__(self, name: str, heard: list[str]) -> None:
        self.name, self.heard = name, heard

    @hookimpl
    def softdiv_run_start(self, event: Any) -> None:
        self.heard.append(f"{self.name} start")

    @hookimpl
    def softdiv_run_end(self, event: Any) -> None:
        self.heard.append(f"{self.name} end")


class Failing(Recorder):
    @hookimpl
    def softdiv_run_start(self, event: Any) -> None:
        raise OSError("disk full")


def event() -> RunEvent:
    return RunEvent(run_dir=Path("run"), config=None)


def test_observers_are_told_in_the_order_given() -> None:
    heard: list[str] = []
    hub = Observers.of([(Recorder(name, heard), name) for name in "cab"])
    hub.tell(Hooks.softdiv_run_start, event())
    assert heard == ["c start", "a start", "b start"]


def test_a_failing_observer_is_named_set_aside_and_the_others_are_still_told() -> None:
    heard: list[str] = []
    reported: list[tuple[str, str]] = []
    hub = Observers.of(
        [
            (Recorder("first", heard), "'first'"),
            (Failing("bad", heard), "'bad'"),
            (Recorder("last", heard), "'last'"),
        ],
        Failures(write=lambda line, trace: reported.append((line, trace))),
    )
    hub.tell(Hooks.softdiv_run_start, event())
    hub.tell(Hooks.softdiv_run_end, event())
    assert heard == ["first start", "last start", "first end", "last end"]
    assert hub.failures == ["observer 'bad' failed in run_start: OSError: disk full"]
    assert reported[0][0] == hub.failures[0]
    assert "Traceback" in reported[0][1]


def test_stopping_by_hand_is_not_swallowed() -> None:
    class Interrupted:
        @hookimpl
        def softdiv_run_start(self, event: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers.of([(Interrupted(), "'i'")]).tell(Hooks.softdiv_run_start, event())


def test_a_misspelt_hook_is_refused() -> None:
    class Misspelt:
        @hookimpl
        def softdiv_run_begin(self, event: Any) -> None: ...

    with pytest.raises(PluginError, match="observer 'm' breaks the contract.*softdiv_run_begin"):
        Observers.of([(Misspelt(), "'m'")])
