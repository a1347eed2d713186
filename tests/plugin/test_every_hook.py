"""No hook without a caller: each one of hookspecs.py is called, in a real run where it can be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from softdiv import DivergencePipeline, ExperimentConfig, hookimpl
from softdiv.cli.main import softdiv
from softdiv.config.shipped import config_path
from softdiv.plugin.hookspecs import Hooks, lifecycle_hooks
from softdiv.plugin.manager import PluginManager
from tests.cli.installed import distribution

MODULE = "softdiv_every_hook"
REGISTRATION = [name for name in vars(Hooks) if name.startswith("softdiv_register_")]
HOOK = """
@hookimpl
def {name}(register):
    CALLED.append("{name}")
"""
COMMAND = '    register("recorded", click.Command("recorded", callback=lambda: None))\n'


def recorder(told: list[tuple[str, Any]]) -> object:
    """An observer with every lifecycle hook."""

    def method(name: str) -> Any:
        def told_of(self: object, event: Any) -> None:
            told.append((name, event))

        told_of.__name__ = name
        return hookimpl(told_of)

    return type("Recorder", (), {name: method(name) for name in lifecycle_hooks()})()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any]]:
    """What an observer is told in one run of the tiny pair."""
    events: list[tuple[str, Any]] = []
    DivergencePipeline(
        config=ExperimentConfig.from_file(config_path("smoke")),
        run_dir=tmp_path_factory.mktemp("told") / "run",
        observers=[(recorder(events), "'recorder'")],
    ).run()
    return events


@pytest.mark.parametrize("name", lifecycle_hooks())
def test_an_observer_is_told_in_a_real_run(name: str, told: list[tuple[str, Any]]) -> None:
    assert name in [hook for hook, _ in told]


def test_hooks_are_first_called_in_the_order_of_the_contract(told: list[tuple[str, Any]]) -> None:
    """The reference calls itself the timeline of a run."""
    first = list(dict.fromkeys(hook for hook, _ in told))
    assert first == list(lifecycle_hooks())


def test_each_event_is_of_the_class_the_contract_names(told: list[tuple[str, Any]]) -> None:
    for hook, event in told:
        assert getattr(Hooks, hook).__annotations__["event"] == f"events.{type(event).__name__}"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An installed plugin with every registration hook, and the hooks called so far."""
    source = "import click\nfrom softdiv import hookimpl\nCALLED = []\n"
    for name in REGISTRATION:
        source += HOOK.format(name=name) + (COMMAND if name.endswith("_commands") else "")
    distribution(tmp_path, "every-hook", module=MODULE, source=source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield _calls()
    sys.modules.pop(MODULE, None)


def _calls() -> list[str]:
    module = sys.modules.get(MODULE)
    return list(module.CALLED) if module else []


@pytest.mark.parametrize("name", REGISTRATION)
def test_a_plugin_is_asked_to_register(
    name: str, plugin: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plugin == []
    if name == "softdiv_register_commands":  # the command line's alone
        monkeypatch.setenv("SOFTDIV_PLUGINS", "every-hook")
        result = CliRunner().invoke(softdiv, ["recorded"])
        assert result.exit_code == 0, result.output
    else:
        PluginManager.load(["every-hook"])
    assert _calls().count(name) == 1
