"""A cached folder is complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.storage.cache import cache_root, cached_folder


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path))
    return tmp_path


def test_built_once(root: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "f").write_text("x")

    first = cached_folder("kind/key", build)
    assert cached_folder("kind/key", build) == first == root / "kind" / "key"
    assert (first / "f").read_text() == "x"
    assert len(built) == 1


def test_a_failed_build_leaves_nothing(root: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached_folder("key", build)
    assert not (root / "key").exists()
    assert not list(root.glob(".building-*"))


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_root() == tmp_path
    monkeypatch.delenv("SOFTDIV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/softdiv")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "softdiv"
