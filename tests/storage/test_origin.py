"""What a run folder names is imported only where this user made it or says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.errors import PluginError
from softdiv.storage.manifest import read_manifest, write_manifest
from softdiv.storage.origin import KEY, is_ours, mark, refuse_plugins
from softdiv.storage.run import open_run

NAMED = ("rank-overlap",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SOFTDIV_PLUGINS", raising=False)
    return tmp_path / "cache"


def made(parent: Path, plugins: tuple[str, ...] = NAMED) -> Path:
    config = {"seed": 0, "plugins": list(plugins)}
    with open_run(config, f"plugins = {list(plugins)}\n", name="a", parent=parent) as run:
        return run.path


def check(path: Path, *trusted: str) -> None:
    refuse_plugins(path, read_manifest(path), NAMED, trusted)


def test_a_run_of_ones_own_goes_on_without_a_word(tmp_path: Path, cache: Path) -> None:
    check(made(tmp_path / "runs"))
    assert (cache / KEY).stat().st_mode & 0o777 == 0o600


def test_another_users_is_refused_until_its_plugins_are_named(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "runs")
    (cache / KEY).unlink()  # another machine
    with pytest.raises(PluginError, match=r"names the plugin 'rank-overlap'.*--plugin rank-over"):
        check(path)
    check(path, "rank-overlap")
    monkeypatch.setenv("SOFTDIV_PLUGINS", "rank-overlap")
    check(path)
    monkeypatch.delenv("SOFTDIV_PLUGINS")
    monkeypatch.setenv("SOFTDIV_DISABLE_PLUGINS", "1")
    check(path)


def test_the_mark_is_of_this_config(tmp_path: Path) -> None:
    path, other = made(tmp_path / "a"), made(tmp_path / "b", ("refusal",))
    ours, theirs = read_manifest(path), read_manifest(other)
    write_manifest(other, {**theirs, "origin": ours["origin"]})
    assert is_ours(ours) and not is_ours(read_manifest(other))


def test_no_plugin_no_key(tmp_path: Path, cache: Path) -> None:
    path = made(tmp_path / "runs", ())
    refuse_plugins(path, read_manifest(path), (), ())
    assert not cache.exists()


def test_a_cache_that_cannot_be_made_marks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path / "file" / "cache"))
    assert mark("0" * 64) is None
    with pytest.raises(PluginError, match="was not made here"):
        check(made(tmp_path / "runs"))
