from __future__ import annotations

import logging
from typing import Any

import pytest

from softdiv import hookimpl
from softdiv.plugin import trace
from softdiv.plugin.events import RunEvent
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.observers import Observers


class Late:
    @hookimpl
    def softdiv_run_end(self, event: Any) -> None:
        raise ValueError("late")


def test_every_hook_call_is_logged_with_its_plugin_also_when_it_fails(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    hub = Observers.of([(Late(), "'late'")])
    with caplog.at_level(logging.INFO, trace.logger.name):
        PluginManager.load()
        hub.tell(Hooks.softdiv_run_start, RunEvent(run_dir=tmp_path, config=None))
        hub.tell(Hooks.softdiv_run_end, RunEvent(run_dir=tmp_path, config=None))
    lines = [r.getMessage() for r in caplog.records if r.name == trace.logger.name]
    assert any(line.startswith("softdiv_register_losses  'losses' (softdiv ") for line in lines)
    assert [line.split("  ")[:2] for line in lines[-1:]] == [["softdiv_run_end", "observer 'late'"]]
    assert not any("run_start" in line for line in lines)  # nobody implements it
    assert lines[-1].endswith(" ms")
