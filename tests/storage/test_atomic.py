"""Old version or new version, never half; damage is named; a pickle is never opened."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch

from softdiv.errors import DiskError, RunError
from softdiv.plugin.records import Interval
from softdiv.storage import atomic


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.txt"
    atomic.write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DiskError, match=r"f.txt cannot be written: No space left.*make room"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["f.txt"]


def test_returns_the_hash_of_what_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    digest = atomic.write_text(path, "naïve\n")
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest() == atomic.sha256_file(path)


def test_files_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        atomic.write_text(tmp_path / "f", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


def test_json_of_records_paths_and_numbers(tmp_path: Path) -> None:
    value = {
        "i": Interval(value=1.0, low=0.0, high=2.0),
        "p": Path("x/y"),
        "t": torch.tensor(2.5),
        "s": {"b", "a"},
    }
    atomic.write_json(tmp_path / "v.json", value)
    assert atomic.read_json(tmp_path / "v.json") == {
        "i": {"value": 1.0, "low": 0.0, "high": 2.0},
        "p": "x/y",
        "t": 2.5,
        "s": ["a", "b"],
    }


def test_json_refuses_nan_and_objects() -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.to_json({"x": float("nan")})
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        atomic.to_json(object())


def test_damaged_and_missing_json(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        atomic.read_json(tmp_path / "no.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        atomic.read_json(tmp_path / "bad.json")


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    assert atomic.read_json_lines(path) == []
    atomic.append_json_line(path, {"step": 0})
    with path.open("a") as file:
        file.write('{"step": 1, "lo')
    assert atomic.read_json_lines(path) == [{"step": 0}]


def test_appending_after_a_torn_line_does_not_glue_to_it(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for text in ('{"step": 0}\n{"st', '{"st'):
        path.write_text(text)
        atomic.append_json_line(path, {"step": "é"})
        assert atomic.read_json_lines(path)[-1] == {"step": "é"}
    assert atomic.read_json_lines(path) == [{"step": "é"}]


def test_a_damaged_inner_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"a": 1}\nnonsense\n{"a": 2}\n')
    with pytest.raises(RunError, match="is damaged"):
        atomic.read_json_lines(path)


def test_json_lines_written_whole(tmp_path: Path) -> None:
    atomic.write_json_lines(tmp_path / "m.jsonl", [{"a": 1}, {"a": "\u2028"}])
    assert atomic.read_json_lines(tmp_path / "m.jsonl") == [{"a": 1}, {"a": "\u2028"}]


def test_tensors_round_trip_with_metadata(tmp_path: Path) -> None:
    value = torch.randn(3, 4).t()  # not contiguous
    atomic.write_tensors(tmp_path / "t.safetensors", {"x": value}, {"k": "v"})
    tensors, metadata = atomic.read_tensors(tmp_path / "t.safetensors")
    assert torch.equal(tensors["x"], value)
    assert metadata == {"k": "v"}


def test_a_file_of_tensors_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    metadata = {name: name for name in ("placement", "base", "mean_norm", "z")}
    files = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for file in files:
        atomic.write_tensors(file, {"b": torch.ones(2), "a": torch.zeros(3)}, metadata)
    assert len({file.read_bytes() for file in files}) == 1
    atomic.write_tensors(tmp_path / "empty.safetensors", {}, {})
    assert atomic.read_tensors(tmp_path / "empty.safetensors") == ({}, {})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b"\xff", "utf-8"),
    ],
)
def test_json_that_python_chokes_on_is_damaged(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RunError, match=f"x.json is damaged.*{why}"):
        atomic.read_json(tmp_path / "x.json")


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    long = tmp_path / ("a" * 300)
    for act in (atomic.read_json, atomic.read_json_lines, atomic.read_tensors, atomic.sha256_file):
        with pytest.raises(DiskError, match=r"cannot be read: File name too long \(choose"):
            act(long)
    for write in (atomic.write_text, atomic.append_json_line):
        with pytest.raises(DiskError, match="cannot be written: File name too long"):
            write(long, "x")
        (tmp_path / "file").touch()
        with pytest.raises(DiskError, match="a file stands where a folder is needed"):
            write(tmp_path / "file" / "x", "x")
    assert DiskError("x").exit_code == 8


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("exploded",))


def test_a_pickle_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(RunError, match="is not a safetensors file.*never opens pickles"):
        atomic.read_tensors(path)
    assert not (tmp_path / "exploded").exists()
    with pytest.raises(RunError, match="does not exist"):
        atomic.read_tensors(tmp_path / "none.safetensors")
