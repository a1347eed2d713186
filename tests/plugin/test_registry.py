"""Names to factories: duplicates, unknown names, strict options."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from softdiv.errors import ConfigError, PluginError
from softdiv.plugin.registry import Registry


@attrs.frozen(kw_only=True)
class Loud:
    volume: int = 3
    gain: float = 1.0
    wet: bool = False
    label: str | None = None


@attrs.frozen(kw_only=True)
class NeedsPath:
    path: str


def registry() -> Registry:
    made = Registry({("metrics", "rank_overlap"): "pip install softdiv-rank-overlap"})
    made.add("metrics", "loud", Loud, "'one' (dist-one 1.0)")
    made.add("models", "needs_path", NeedsPath, "'one' (dist-one 1.0)")
    return made


def test_builds_from_options() -> None:
    assert registry().build("metrics", "loud", {"volume": 7, "gain": 2}) == Loud(volume=7, gain=2.0)


def test_entries_keep_the_order_of_registration() -> None:
    made = registry()
    made.add("metrics", "another", Loud, "p")
    assert [entry.name for entry in made.entries("metrics")] == ["loud", "another"]
    assert made.entries("losses") == ()


def test_two_plugins_may_not_share_a_name() -> None:
    with pytest.raises(PluginError) as caught:
        registry().add("metrics", "loud", Loud, "'two' (dist-two 2.0)")
    assert "two plugins register metric 'loud'" in str(caught.value)
    assert "'one' (dist-one 1.0) and 'two' (dist-two 2.0)" in str(caught.value)


def test_one_name_may_serve_two_kinds() -> None:
    made = registry()
    made.add("losses", "loud", Loud, "p")
    assert made.find("losses", "loud").kind == "losses"


def test_unknown_name_gets_the_closest_one() -> None:
    with pytest.raises(PluginError, match="no metric 'lowd'.*did you mean 'loud'") as caught:
        registry().find("metrics", "lowd")
    assert caught.value.exit_code == 3


def test_unknown_name_of_a_known_package_says_how_to_get_it() -> None:
    with pytest.raises(PluginError, match="pip install softdiv-rank-overlap"):
        registry().find("metrics", "rank_overlap")


def test_unknown_name_without_neighbours_lists_what_there_is() -> None:
    with pytest.raises(PluginError, match="known: needs_path"):
        registry().find("models", "zzz")
    with pytest.raises(PluginError, match="none is known"):
        registry().find("losses", "zzz")


@pytest.mark.parametrize("factory", [lambda: 1, dict, Loud()])
def test_a_factory_is_an_attrs_class(factory: Any) -> None:
    with pytest.raises(PluginError, match="a factory is an attrs class"):
        registry().add("metrics", "other", factory, "p")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"volumee": 1}, "volumee: unknown key; did you mean 'volume'"),
        ({"volume": 3.0}, r"volume: expected an integer, got 3.0 \(number\)"),
        ({"volume": True}, r"volume: expected an integer, got True \(boolean\)"),
        ({"volume": "3"}, r"volume: expected an integer, got '3' \(text\)"),
        ({"gain": True}, "gain: expected a number, got True"),
        ({"gain": float("nan")}, "gain: expected a finite number, got nan"),
        ({"wet": 1}, "wet: expected true or false, got 1"),
        ({"label": 1}, "label: expected text, got 1"),
    ],
)
def test_options_are_strict(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"metric 'loud': {message}"):
        registry().build("metrics", "loud", options)


def test_every_wrong_option_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        registry().build("metrics", "loud", {"volume": "x", "wet": 0, "nope": 1})
    assert len(caught.value.problems) == 3


def test_a_missing_option_is_named() -> None:
    with pytest.raises(ConfigError, match="model loader 'needs_path': path: is required"):
        registry().build("models", "needs_path", {})
