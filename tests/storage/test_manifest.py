"""A stranger's manifest: every way of being wrong is one line, and no bit can change unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softdiv.errors import RunError
from softdiv.storage.listing import list_runs
from softdiv.storage.manifest import LARGEST, read_manifest, write_manifest
from softdiv.storage.run import open_run
from softdiv.storage.run_files import RunFiles

HASH = "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "one"
    with open_run({"seed": 0}, "seed = 0\n", name="a", parent=path.parent, folder=path) as run:
        run.complete("load", run.write_json("pair.json", {"name": "a"}))
        ledger = {"training": 3}
        run.complete("train", run.write_text("x", "y"), seconds=1.5, notes=["n"], ledger=ledger)
        run.note(plugins=[], threads=2)
    return path


def test_it_is_read_back(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest["schema_version"] == 2 and "sha256" not in manifest
    assert list(manifest["stages"]) == ["load", "train"]


def stage(**entry: Any) -> dict[str, Any]:
    return {"stages": {"train": {"finished": "", "files": {}, **entry}}}


WRONG: dict[str, dict[str, Any]] = {
    "config_key": {"config_key": 5},
    "no time": {"created": "yesterday"},
    "no time zone": {"created": "2026-01-01T00:00:00"},
    "null stages": {"stages": None},
    "listed stages": {"stages": []},
    "null stage": {"stages": {"train": None}},
    "finished": stage(finished=1),
    "no files": {"stages": {"train": {"finished": ""}}},
    "listed files": stage(files=["x"]),
    "short hash": stage(files={"x": "abc"}),
    "null hash": stage(files={"x": None}),
    "seconds as text": stage(seconds="1"),
    "negative seconds": stage(seconds=-1),
    "huge seconds": stage(seconds=10**400),
    "notes": stage(notes="n"),
    "ledger": stage(ledger={"a": 0.5}),
    "true in the ledger": stage(ledger={"a": True}),
    "null facts": {"facts": None},
    "deep facts": {"facts": {"a": [[[[[[[[[1]]]]]]]]]}},
    "plugins": {"facts": {"plugins": {"a": 1}}},
    "half a plugin": {"facts": {"plugins": [{"name": "x"}]}},
    "config": {"config": ["config.toml"]},
    "continued": {"continued": "now"},
    "origin": {"origin": 3},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_key_of_another_type_is_named(folder: Path, change: dict[str, Any]) -> None:
    write_manifest(folder, {**read_manifest(folder), **change})
    with pytest.raises(
        RunError, match=r"manifest.json is damaged: .*(expected|is required|must be)"
    ) as caught:
        read_manifest(folder)
    assert "\n" not in str(caught.value)
    assert list_runs(folder.parent)[0].state == "damaged"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "",
        ".",
        "a//b",
        "a/./b",
        "a\\b",
        "C:x",
        "a\0b",
        "a\x1b[2J",
    ],
)
@pytest.mark.parametrize("where", ["stages", "config"])
def test_a_name_is_a_plain_path_inside_the_folder(folder: Path, name: str, where: str) -> None:
    files = {name: HASH}
    table = stage(files=files) if where == "stages" else {"config": files}
    write_manifest(folder, {**read_manifest(folder), **table})
    with pytest.raises(RunError, match="expected a path inside the folder"):
        read_manifest(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"3", b'"x"', b"{}", b"\xff\xfe", b"[" * 10**5, b'{"schema_version": 2}'],
)
def test_what_is_no_manifest_is_damaged(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(RunError, match=r"manifest.json is damaged"):
        read_manifest(folder)


def test_a_huge_one_is_not_read(folder: Path) -> None:
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(RunError, match="larger than 16 MiB"):
        read_manifest(folder)


def test_another_schema_is_said(folder: Path) -> None:
    write_manifest(folder, {**read_manifest(folder), "schema_version": 99})
    with pytest.raises(RunError, match="has schema version 99: this softdiv reads 2"):
        read_manifest(folder)


def test_one_of_the_schema_before_has_no_seal_and_gets_one(folder: Path) -> None:
    table = {**read_manifest(folder), "schema_version": 1}
    (folder / "manifest.json").write_text(json.dumps(table))
    assert read_manifest(folder) == {**table, "schema_version": 2}


def test_no_bit_of_it_changes_unseen(folder: Path) -> None:
    path = folder / "manifest.json"
    data, expected = path.read_bytes(), read_manifest(folder)
    seen = 0
    for bit in range(0, 8 * len(data), 7):
        index, mask = bit // 8, 1 << bit % 8
        path.write_bytes(data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :])
        try:
            assert read_manifest(folder) == expected, bit  # only white space has changed
        except RunError:
            seen += 1
    assert seen > 0.8 * 8 * len(data) / 7


def test_a_file_is_read_only_as_it_was_written(folder: Path) -> None:
    run = RunFiles.of(folder)
    assert run.file("x").read_text() == "y" and run.changed() == []
    with pytest.raises(RunError, match="is not of a stage that has finished"):
        run.file("events.jsonl")
    (folder / "x").write_text("z")
    with pytest.raises(RunError, match="x has changed since train wrote it"):
        run.file("x")
    (folder / "pair.json").unlink()
    (folder / "pair.json").mkdir()
    assert run.changed() == [
        f"{folder}/pair.json is missing since load wrote it",
        f"{folder}/x has changed since train wrote it",
    ]
