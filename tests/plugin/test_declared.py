"""The order of loading, the switch that turns everything off, and what a plugin file is."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import pytest
from fake_site import install, observer

from softdiv.errors import ConfigError, PluginError
from softdiv.plugin.declared import changed_plugins, declared, file_identity
from softdiv.plugin.imports import import_file
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.watchdog import HOOK_TIMEOUT, limit_of

QUIET = "@hookimpl\ndef softdiv_step_end(self, event): ..."


def test_config_then_environment_then_command_line_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOFTDIV_PLUGINS", "c, a,,d ")
    assert declared(["b", "a"], ["d", "e"]) == ("b", "a", "c", "d", "e")
    assert declared(declared(["b", "a"], ["e"])) == declared(["b", "a"], ["e"])


@pytest.mark.parametrize(("value", "expected"), [("1", ()), ("", ("a",)), ("0", ("a",))])
def test_plugins_can_be_switched_off(
    value: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOFTDIV_PLUGINS", raising=False)
    monkeypatch.setenv("SOFTDIV_DISABLE_PLUGINS", value)
    assert declared(["a"]) == expected


def test_plugins_are_loaded_in_the_order_declared(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        install(site, name, observer(name, QUIET))
    local = site / "mine.py"
    local.write_text(observer("mine", QUIET))
    monkeypatch.setenv("SOFTDIV_PLUGINS", "b")
    manager = PluginManager.load(["c", "a"], files=[local, local])
    assert [record.name for record in manager.records] == ["c", "a", "b", "mine"]
    monkeypatch.setenv("SOFTDIV_DISABLE_PLUGINS", "1")
    manager = PluginManager.load(["c"], files=[local])
    assert manager.records == [] and manager.registry.find("losses", "jsd")
    with pytest.raises(PluginError, match="SOFTDIV_DISABLE_PLUGINS is set: no plugin is loaded"):
        manager.registry.find("observers", "c")


def test_a_plugin_file_is_run_as_it_is_and_leaves_no_bytecode(site: Path) -> None:
    local = site / "mine.py"
    local.write_text(observer("mine", QUIET))
    _, first = import_file(local)
    assert first.label == f"'mine' (file {first.sha256[:12]})"
    assert [path.name for path in site.iterdir()] == ["mine.py"]
    local.write_text(observer("mine", QUIET) + "\n")
    _, second = import_file(local)
    assert file_identity([first]) != file_identity([second])
    assert file_identity([]) == {}  # a run without plugin files keeps its identity


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("gone.py", None, r"gone.py cannot be read: No such file"),
        ("mine.txt", "x = 1", r"mine.txt is not a .py file"),
        ("mine.py", "1 / 0", r"'mine' \(file \w{12}\) failed to import: ZeroDivisionError"),
        ("mine.py", "x = 1", r"'mine' \(file \w{12}\) registers nothing"),
        ("mine.py", "def (", r"'mine' \(file \w{12}\) failed to import: SyntaxError"),
    ],
)
def test_a_plugin_file_that_is_none_is_one_line(
    site: Path, name: str, source: str | None, message: str
) -> None:
    if source is not None:
        (site / name).write_text(source)
    with pytest.raises(PluginError, match=message):
        PluginManager.load([], files=[site / name])
    assert not [
        module for module in sys.modules if module.startswith("softdiv_plugin_file_mine")
    ] or ("registers nothing" in message)


def test_a_plugin_that_changed_since_the_run_began_is_named(site: Path) -> None:
    install(site, "a", observer("a", QUIET))
    (record,) = PluginManager.load(["a"]).records
    kept = [attrs.asdict(record)]
    assert changed_plugins(kept, [record]) == [] == changed_plugins(None, [record])
    newer = attrs.evolve(record, version="1.3", sha256="0" * 64)
    assert changed_plugins(kept, [newer]) == [
        "plugin 'a' (softdiv-a 1.3) was softdiv-a 1.2 when this run began"
    ]


def test_a_distribution_on_the_path_twice_is_one(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "older").mkdir()
    install(tmp_path / "older", "a", "raise RuntimeError('shadowed')", version="1.0")
    monkeypatch.syspath_prepend(str(tmp_path / "older"))
    monkeypatch.syspath_prepend(str(site))
    install(site, "a", observer("a", QUIET))
    assert PluginManager.load(["a"]).loaded == ["'a' (softdiv-a 1.2)"]


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_a_limit_is_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOOK_TIMEOUT, text)
    with pytest.raises(ConfigError, match="expected seconds"):
        limit_of(HOOK_TIMEOUT)
