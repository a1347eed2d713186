from __future__ import annotations

import torch

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
    progress, engine = checkpoint.latest(tmp_path)
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
    assert checkpoint.latest(tmp_path)[0].steps == 10


def test_only_the_newest_are_kept(tmp_path):
    for steps in (10, 20, 30):
        save(tmp_path, steps, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000020", "step-000030"]
