from __future__ import annotations

import attrs
import pytest
import torch

from softdiv.errors import RunError
from softdiv.storage.sealed import read_sealed, write_sealed
from softdiv.training import checkpoint
from softdiv.training.best import BestPrompt
from softdiv.training.checkpoint import Checkpoints
from softdiv.training.guards import Guards
from softdiv.training.state import FieldState


@attrs.define(eq=False)
class Part(FieldState):
    """Any part: what it is made with is no state, what it sets itself is."""

    limit: int
    seen: list[object] = attrs.field(init=False, factory=list)
    _told: int = attrs.field(init=False, default=0)


def parts():
    return {"best": BestPrompt(3), "guards": Guards(), "mine": Part(1)}


def save(folder, steps, keep=9):
    made = parts()
    made["best"].offer(0.5, torch.ones(2, 3), steps)
    made["guards"].skipped = 2
    made["mine"].seen += [1.5, None, "x", [torch.full((2,), float(steps))]]
    Checkpoints(folder, made, keep=keep).save(steps)
    return folder / f"step-{steps:06d}"


def restore(folder):
    made = parts()
    checkpoints = Checkpoints(folder, made)
    return made, checkpoints.restore(), checkpoints.saved_at


def test_every_part_comes_back_under_its_name(tmp_path):
    save(tmp_path, 10)
    found, notes, steps = restore(tmp_path)
    assert (steps, notes) == (10, [])
    best, mine = found["best"], found["mine"]
    assert (best.bits, best.validated_at, best.patience) == (0.5, 10, 3)
    assert torch.equal(best.prompt, torch.ones(2, 3)) and found["guards"].skipped == 2
    assert mine.seen[:3] == [1.5, None, "x"] and mine.seen[3][0].tolist() == [10, 10]
    assert mine.state_dict().keys() == {"seen"}


def test_a_state_is_a_copy():
    part = Part(1)
    state = part.state_dict()
    part.seen.append(1)
    assert state == {"seen": []}
    part.load_state_dict(state)
    part.seen.append(2)
    assert state == {"seen": []}


def test_none_without_checkpoints(tmp_path):
    found, notes, steps = restore(tmp_path / "absent")
    assert (notes, steps, found["guards"].skipped) == ([], None, 0)


def test_incomplete_and_damaged_ones_are_passed_over(tmp_path):
    save(tmp_path, 10)
    (save(tmp_path, 20) / "state.safetensors").write_bytes(b"torn")
    (save(tmp_path, 30) / "state.json").unlink()
    (save(tmp_path, 40) / "state.json").write_text("{")
    (save(tmp_path, 50) / "state.json").write_text("{}")
    state = save(tmp_path, 60) / "state.json"
    write_sealed(state, {**read_sealed(state), "parts": [1]})
    state = save(tmp_path, 70) / "state.json"
    state.write_text(state.read_text().replace('"bits": 0.5', '"bits": 0.7'))
    _, notes, steps = restore(tmp_path)
    assert steps == 10
    # not of 30, which a kill may leave at any time
    assert [note.split()[1] for note in notes] == [f"step-0000{n}" for n in (70, 60, 50, 40, 20)]
    assert notes[0].endswith("is damaged: training went on from step 10")


def test_those_of_another_version_are_refused(tmp_path):
    state = save(tmp_path / "checkpoints", 10) / "state.json"
    table = read_sealed(state)
    del table["format"]
    write_sealed(state, table)
    with pytest.raises(RunError, match="step-000010 was saved by another version of softdiv.*anew"):
        restore(tmp_path / "checkpoints")
    (problem,) = checkpoint.changes(tmp_path)
    assert "another version" in problem


@pytest.mark.parametrize("change", ["one more", "one less", "a field less"])
def test_those_of_other_parts_are_refused(tmp_path, change):
    state = save(tmp_path, 10) / "state.json"
    table, made = read_sealed(state), parts()
    if change == "one more":
        made["more"] = Part(1)
    elif change == "one less":
        del made["mine"]
    else:
        del table["parts"]["guards"]["skipped"]
        write_sealed(state, table)
    with pytest.raises(RunError, match="checkpoint of step 10 does not fit this training"):
        Checkpoints(tmp_path, made).restore()


def test_only_the_newest_are_kept(tmp_path):
    for steps in (10, 20, 30):
        save(tmp_path, steps, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000020", "step-000030"]
