from __future__ import annotations

import torch

from softdiv.storage.sealed import read_sealed, write_sealed
from softdiv.training import checkpoint
from softdiv.training.checkpoint import Progress
from softdiv.training.engine import EngineState


def save(folder, steps, keep=9):
    tensors = {n: torch.full((2, 3), float(steps)) for n in ("prompt", "exp_avg", "exp_avg_sq")}
    progress = Progress(
        steps=steps, best_bits=0.5, best_prompt=torch.ones(2, 3), pending=[[[1, 2]]]
    )
    progress.guards.skipped = 2
    return checkpoint.save(folder, progress, EngineState(tensors, steps), keep)


def test_round_trip(tmp_path):
    save(tmp_path, 10)
    saved = checkpoint.latest(tmp_path)
    progress, engine = saved.progress, saved.engine
    assert (progress.steps, progress.best_bits, progress.pending) == (10, 0.5, [[[1, 2]]])
    assert torch.equal(progress.best_prompt, torch.ones(2, 3)) and progress.guards.skipped == 2
    assert set(engine.tensors) == {"prompt", "exp_avg", "exp_avg_sq"} and engine.steps == 10


def test_none_without_checkpoints(tmp_path):
    assert checkpoint.latest(tmp_path / "absent") is None


def test_incomplete_and_damaged_ones_are_passed_over(tmp_path):
    save(tmp_path, 10)
    (save(tmp_path, 20) / "state.safetensors").write_bytes(b"torn")
    (save(tmp_path, 30) / "state.json").unlink()
    (save(tmp_path, 40) / "state.json").write_text("{")
    (save(tmp_path, 50) / "state.json").write_text("{}")
    state = save(tmp_path, 60) / "state.json"
    write_sealed(state, {**read_sealed(state), "progress": {"guards": {"no": 1}}})
    state = save(tmp_path, 70) / "state.json"
    state.write_text(state.read_text().replace('"best_bits": 0.5', '"best_bits": 0.7'))
    found = checkpoint.latest(tmp_path).progress
    assert found.steps == 10
    # not of 30, which a kill may leave at any time
    assert [note.split()[1] for note in found.notes] == [
        f"step-0000{n}" for n in (70, 60, 50, 40, 20)
    ]
    assert found.notes[0].endswith("is damaged: training went on from step 10")


def test_only_the_newest_are_kept(tmp_path):
    for steps in (10, 20, 30):
        save(tmp_path, steps, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000020", "step-000030"]
