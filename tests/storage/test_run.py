"""Opening, locking, continuing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from softdiv.errors import DiskError, RunError
from softdiv.storage.atomic import read_json, sha256_file
from softdiv.storage.existing import config_key
from softdiv.storage.folder import TEMPORARY
from softdiv.storage.manifest import read_manifest
from softdiv.storage.run import RunFolder, open_run
from softdiv.storage.run_files import RunFiles

CONFIG: dict[str, Any] = {"seed": 0, "output_dir": "runs", "training": {"num_epochs": 1}}


def start(
    parent: Path, config: dict[str, Any] = CONFIG, folder: Path | None = None, **more: Any
) -> RunFolder:
    return open_run(config, "seed = 0\n", name="a/b pair", parent=parent, folder=folder, **more)


def test_a_new_run_has_a_manifest_with_versions(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        assert run.path.parent == tmp_path
        assert "a-b-pair" in run.path.name
        manifest = read_manifest(run.path)
    assert manifest["config_key"] == config_key(CONFIG)
    assert manifest["facts"]["torch"]
    assert manifest["stages"] == {}


def test_an_unfinished_run_of_the_same_config_is_continued(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        run.complete("train", run.write_text("p.txt", "hello"))
        run.note(threads=2)
    with start(tmp_path, {**CONFIG, "output_dir": "elsewhere"}) as again:
        assert again.path == run.path
        assert again.done("train")
        assert not again.done("report")
        assert len(again.manifest["continued"]) == 1
        assert again.manifest["facts"]["threads"] == 2
    stage = read_manifest(run.path)["stages"]["train"]
    assert stage["files"] == {"p.txt": sha256_file(run.path / "p.txt")}


def test_a_finished_run_is_found_again_unless_a_fresh_one_is_wanted(
    tmp_path: Path,
) -> None:
    with start(tmp_path) as run:
        run.complete("report")
    with start(tmp_path) as again:
        assert again.path == run.path and "continued" not in again.manifest
    with start(tmp_path, fresh=True) as other:
        assert other.path != run.path


def test_another_config_gets_another_folder(tmp_path: Path) -> None:
    with start(tmp_path) as run, start(tmp_path, {**CONFIG, "seed": 1}) as other:
        assert other.path != run.path


def test_a_given_folder_is_continued_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with start(tmp_path, folder=folder) as run:
        assert run.path == folder
    with start(tmp_path, folder=folder) as run:
        assert run.manifest["continued"]
    with pytest.raises(RunError, match="holds a run of another configuration") as caught:
        start(tmp_path, {**CONFIG, "seed": 1}, folder)
    assert caught.value.exit_code == 5
    assert "seed, training.num_epochs differ" in str(caught.value)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="not empty and is not a softdiv run"):
        start(tmp_path, folder=tmp_path)


LEFT = f".manifest.json.x{TEMPORARY}"


@pytest.mark.parametrize("left", [("run.lock",), ("run.lock", "config.toml"), ("run.lock", LEFT)])
def test_a_start_that_was_killed_before_its_manifest_goes_on(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    for name in left:
        (tmp_path / name).write_text("seed = 0\n" if name == "config.toml" else "")
    with start(tmp_path, folder=tmp_path) as run:
        assert run.manifest["stages"] == {}
        assert not list(tmp_path.glob(f".*{TEMPORARY}"))
    assert RunFiles.of(tmp_path).changed() == []


@pytest.mark.parametrize("left", [(), ("run.lock",), ("run.lock", "config.toml")])
def test_it_goes_on_in_the_folder_that_was_made_for_it_too(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    with start(tmp_path) as run:
        path = run.path
    for item in path.iterdir():
        if item.name not in left:
            item.unlink()
    with start(tmp_path) as again:
        assert again.path == path


def test_a_start_of_another_config_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "run.lock").touch()
    (tmp_path / "config.toml").write_text("seed = 7\n")
    with pytest.raises(RunError, match="another configuration: seed, training.num_epochs differ"):
        start(tmp_path, folder=tmp_path)
    assert (tmp_path / "config.toml").read_text() == "seed = 7\n"


def test_a_folder_of_something_else_gets_no_lock(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("seed = 0\n")  # a user's own, without a run's lock
    with pytest.raises(RunError, match="is not a softdiv run"):
        start(tmp_path, folder=tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["config.toml"]


def test_a_linked_run_is_passed_over_and_a_new_one_made(tmp_path: Path) -> None:
    with start(tmp_path / "disk") as far:
        far.complete("train")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "old").symlink_to(far.path)
    with start(tmp_path / "runs") as run:
        assert run.path.name != "old" and not run.done("train")


@pytest.mark.parametrize("name", ["a\udcff", "a\0b"])
def test_a_name_that_no_file_could_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="has a name that is no text"):
        start(tmp_path, folder=tmp_path / name)


def test_a_full_disk_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskError, match=r"config.toml cannot be written: No space left"):
            start(tmp_path / "new" / "runs")
    assert list(tmp_path.iterdir()) == []
    start(tmp_path / "new" / "runs").__exit__(None, None, None)


def test_a_run_in_use_is_refused_and_free_afterwards(tmp_path: Path) -> None:
    with start(tmp_path), pytest.raises(RunError, match="is in use by another process"):
        start(tmp_path)
    with start(tmp_path) as run:
        assert run.manifest["continued"]


def test_the_lock_is_released_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), start(tmp_path):
        raise ZeroDivisionError
    start(tmp_path).__exit__(None, None, None)


def test_files_and_events(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        written = {
            **run.write_json("a.json", {"x": 1}),
            **run.write_json_lines("b.jsonl", [{"x": 1}]),
        }
        run.event("stage", name="train")
        run.event("stage", name="search")
        assert written == {name: sha256_file(run.path / name) for name in written}
        events = [json.loads(x) for x in (run.path / "events.jsonl").read_text().splitlines()]
    assert [event["name"] for event in events] == ["train", "search"]
    assert read_json(run.path / "a.json") == {"x": 1}


def test_other_schema_versions_and_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a softdiv run"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema_version": 99}')
    with pytest.raises(RunError, match="has schema version 99"):
        read_manifest(tmp_path)


def test_a_run_that_failed_with_nothing_to_keep_leaves_no_folder(tmp_path: Path) -> None:
    parent = tmp_path / "project" / "runs"
    with pytest.raises(RunError, match="no model"), start(parent):
        raise RunError("no model")
    assert not (tmp_path / "project").exists()

    kept = start(parent).path
    with pytest.raises(RunError, match="no model"), start(parent, {**CONFIG, "seed": 1}) as run:
        raise RunError("no model")
    assert list(parent.iterdir()) == [kept] and not run.path.exists()
