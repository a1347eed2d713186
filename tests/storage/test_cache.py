"""A cached folder is complete or absent."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from softdiv.errors import DiskError
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


def test_what_a_killed_build_left_is_removed_by_the_next(root: Path) -> None:
    (root / "kind" / ".building-key-abc").mkdir(parents=True)
    (root / "kind" / ".building-other-abc").mkdir()
    cached_folder("kind/key", lambda folder: None)
    assert {p.name for p in (root / "kind").iterdir() if p.is_dir()} == {
        "key",
        ".building-other-abc",
    }


def test_a_cache_that_cannot_be_made_is_said_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path / "file" / "x"))
    with pytest.raises(
        DiskError, match=r"the cache folder .*file/x cannot be made: .*SOFTDIV_CACHE"
    ):
        cached_folder("key", lambda folder: None)


def test_a_full_disk_while_building(root: Path) -> None:
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DiskError, match=r"key cannot be written: No space left"):
        cached_folder("key", build)


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SOFTDIV_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(DiskError, match="there is no cache folder: HOME is not set"):
        cache_root()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_root() == tmp_path
    monkeypatch.delenv("SOFTDIV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/softdiv")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "softdiv"


def test_what_was_changed_since_is_built_anew(root: Path) -> None:
    built = 0

    def build(folder: Path) -> None:
        nonlocal built
        built += 1
        (folder / "weights").write_bytes(b"right")
        (folder / "inside").mkdir()
        (folder / "inside" / "f").write_text("x")

    folder = cached_folder("key", build)
    for spoil in (
        lambda: (folder / "weights").write_bytes(b"wrong"),
        lambda: (folder / "weights").unlink(),
        lambda: (folder / "inside" / "more").write_text("x"),
        lambda: (folder / ".content.json").unlink(),
        lambda: (folder / ".content.json").write_text("[]"),
    ):
        spoil()
        assert cached_folder("key", build) == folder
        assert (folder / "weights").read_bytes() == b"right"
        assert not (folder / "inside" / "more").exists()
    assert built == 6
    assert cached_folder("key", build) == folder
    assert built == 6
    assert sorted(path.name for path in root.iterdir()) == ["key", "key.lock"]


def test_a_link_in_its_place_is_not_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (root / "key").symlink_to(elsewhere)
    folder = cached_folder("key", lambda target: (target / "f").write_text("y") and None)
    assert not folder.is_symlink() and (folder / "f").read_text() == "y"
    assert (elsewhere / "precious").exists()
