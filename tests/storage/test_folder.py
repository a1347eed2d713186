"""Nothing in a run folder leads out of it, and nothing of a killed writer stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from softdiv.errors import DiskError, RunError
from softdiv.storage.folder import TEMPORARY, refuse_strange, remove, remove_leftovers
from softdiv.storage.manifest import read_manifest, write_manifest
from softdiv.storage.run import RunFolder, open_existing, open_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    with open_run({"seed": 0}, "seed = 0\n", name="a", parent=tmp_path, folder=path) as run:
        run.complete("train", run.write_text("checkpoints/best", "y"))
    return path


def reopen(folder: Path) -> RunFolder:
    return open_run({"seed": 0}, "seed = 0\n", name="a", parent=folder.parent, folder=folder)


@pytest.mark.parametrize(
    "name", ["run.lock", "events.jsonl", "analysis", "checkpoints/step-1", "x"]
)
@pytest.mark.parametrize("target", ["{}/secret", "/etc", "{}/run/checkpoints/../../secret"])
def test_a_link_out_of_it_is_refused_wherever_it_stands(
    folder: Path, name: str, target: str
) -> None:
    (folder.parent / "secret").write_text("precious")
    (folder / "run.lock").unlink()
    (folder / name).symlink_to(target.format(folder.parent))
    for act in (read_manifest, open_existing, reopen):
        with pytest.raises(RunError, match="is a link out of"):
            act(folder)
    assert (folder.parent / "secret").read_text() == "precious"


def test_a_link_to_what_is_inside_passes(folder: Path) -> None:
    (folder / "latest").symlink_to("checkpoints")
    (folder / "loop").symlink_to("loop")
    refuse_strange(folder)
    linked = folder.parent / "linked"
    linked.symlink_to(folder)  # the user's own name for it
    read_manifest(linked)


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "evaluation.json")
    with pytest.raises(RunError, match="is neither a file nor a folder"):
        read_manifest(folder)


def test_forgetting_removes_links_and_not_what_they_name(folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "kept" / "file").touch()
    (folder / "old").symlink_to("kept")
    with open_existing(folder) as run:
        run.forget("train", ("old",))
    assert (folder / "kept" / "file").exists() and not (folder / "checkpoints" / "best").exists()
    assert not (folder / "old").is_symlink()


def test_what_killed_writers_left_is_removed_when_it_is_opened(folder: Path) -> None:
    left = [folder / f".manifest.json.abc{TEMPORARY}", folder / f"checkpoints/.best.x{TEMPORARY}"]
    for path in left:
        path.write_text("{")
    kept = folder / ".hidden"
    kept.touch()
    with open_existing(folder):
        assert not any(path.exists() for path in left) and kept.exists()
    left[1].write_text("{")
    remove_leftovers(folder)
    assert not left[1].exists()


def test_a_stranger_cannot_have_anything_deleted(folder: Path) -> None:
    outside = folder.parent / "thesis"
    outside.mkdir()
    files = {str(outside): "0" * 64}
    table = {**read_manifest(folder), "stages": {"report": {"finished": "", "files": files}}}
    write_manifest(folder, table)
    with pytest.raises(RunError, match="expected a path inside"):
        open_existing(folder)
    assert outside.exists()


def test_what_cannot_be_removed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("shutil.rmtree", refused)
    with pytest.raises(DiskError, match="checkpoints cannot be removed: Permission denied"):
        remove(folder / "checkpoints")
