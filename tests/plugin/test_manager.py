"""Loading: what registers, what is refused and named, what is never imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from fake_site import METRIC

from softdiv import hookimpl
from softdiv.errors import PluginError
from softdiv.plugin.discovery import find, installed
from softdiv.plugin.manager import PluginManager

MODULE = "softdiv_test_only_plugin"


@attrs.frozen(kw_only=True)
class Component:
    size: int = 1


def distribution(folder: Path, source: str, name: str = "test-only", dist: str = "dist_a") -> None:
    """An installed distribution as pip leaves it, without pip."""
    info = folder / f"{dist}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[softdiv]\n{name} = {MODULE}\n")
    (folder / f"{MODULE}.py").write_text(source)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop(MODULE, None)


def test_built_ins_come_in_through_the_same_hooks() -> None:
    registry = PluginManager.load().registry
    assert {entry.name for entry in registry.entries("models")} >= {"hf", "tiny"}
    assert {entry.name for entry in registry.entries("losses")} >= {"jsd", "kl"}
    assert {entry.name for entry in registry.entries("processors")} >= {"shipped", "length"}
    assert {entry.name for entry in registry.entries("searchers")} >= {"amplified", "empty"}


def test_two_managers_share_nothing() -> None:
    first, second = PluginManager(), PluginManager()
    first.register(Metrics(), "p")
    assert first.registry.entries("metrics")
    assert not second.registry.entries("metrics")


class Metrics:
    @hookimpl
    def softdiv_register_metrics(self, register: Any) -> None:
        register("mine", Component)


def test_a_declared_plugin_is_imported_and_its_component_named_after_it(site: Path) -> None:
    distribution(site, METRIC)
    manager = PluginManager.load(["test-only"])
    assert MODULE in sys.modules
    assert manager.loaded == ["'test-only' (dist_a 1.2)"]
    assert manager.registry.find("metrics", "zero").plugin == "'test-only' (dist_a 1.2)"


def test_a_plugin_declared_twice_is_loaded_once(site: Path) -> None:
    distribution(site, METRIC)
    assert len(PluginManager.load(["test-only", "test-only"]).loaded) == 1


def test_an_undeclared_plugin_is_seen_but_not_imported(site: Path) -> None:
    distribution(site, "raise RuntimeError('imported although nobody asked')")
    assert "test-only" in [plugin.name for plugin in installed()]
    manager = PluginManager.load()
    assert MODULE not in sys.modules
    assert manager.loaded == []


def test_a_plugin_that_is_not_installed_is_named_with_a_hint(site: Path) -> None:
    distribution(site, METRIC)
    with pytest.raises(PluginError, match="'test-onyl' is not installed.*did you mean 'test-only'"):
        PluginManager.load(["test-onyl"])
    with pytest.raises(PluginError, match="pip install softdiv-other"):
        find("other", {"other": "softdiv-other"})


def test_a_name_claimed_by_two_packages_is_refused(site: Path) -> None:
    distribution(site, METRIC)
    distribution(site, METRIC, dist="dist_b")
    with pytest.raises(PluginError, match=r"two packages: dist_a 1\.2 and dist_b 1\.2"):
        find("test-only")


@pytest.mark.parametrize("source", ["import nowhere_to_be_found", "raise SystemExit(3)", "1 / 0"])
def test_a_plugin_that_fails_to_import_is_named(site: Path, source: str) -> None:
    distribution(site, source)
    with pytest.raises(PluginError, match=r"'test-only' \(dist_a 1\.2\) failed to import"):
        PluginManager.load(["test-only"])


def test_a_plugin_that_fails_while_registering_is_named() -> None:
    class Broken:
        @hookimpl
        def softdiv_register_losses(self, register: Any) -> None:
            raise KeyError("gone")

    with pytest.raises(PluginError, match="plugin 'b' failed in softdiv_register_losses: KeyError"):
        PluginManager().register(Broken(), "'b'")


def test_two_plugins_with_one_component_name_are_both_named() -> None:
    manager = PluginManager()
    manager.register(Metrics(), "'first'")
    with pytest.raises(
        PluginError, match="two plugins register metric 'mine': 'first' and 'second'"
    ):
        manager.register(Metrics(), "'second'")


def test_a_misspelt_hook_is_refused() -> None:
    class Misspelt:
        @hookimpl
        def softdiv_register_metrix(self, register: Any) -> None: ...

    with pytest.raises(PluginError, match="'m' breaks the contract.*softdiv_register_metrix"):
        PluginManager().register(Misspelt(), "'m'")


def test_a_hook_with_unknown_arguments_is_refused() -> None:
    class Greedy:
        @hookimpl
        def softdiv_register_metrics(self, register: Any, config: Any) -> None: ...

    with pytest.raises(PluginError, match="'g' breaks the contract.*config"):
        PluginManager().register(Greedy(), "'g'")


def test_another_api_version_is_refused() -> None:
    module = ModuleType("future")
    module.SOFTDIV_API_VERSION = 2  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match="'future' was written for plugin API 2.*has API 1"):
        PluginManager().register(module, "'future'")
