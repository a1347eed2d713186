from __future__ import annotations

import pytest
import torch
from tiny_training import config, open_for, tiny_pair

from softdiv.builtin.losses import JsdLoss
from softdiv.ranks.group import Ranks
from softdiv.storage.atomic import read_json_lines
from softdiv.training import checkpoint
from softdiv.training.costs import Costs
from softdiv.training.trainer import DivergenceTrainer

CFG = config(max_steps=6, checkpoint_every=2, validate_every=3)


def train(folder, split, cfg=CFG):
    with open_for(cfg, folder) as run:
        return DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run).train()


def test_times_are_kept_apart_from_what_must_be_the_same(split, tmp_path):
    train(tmp_path / "run", split)
    metrics, timings = (
        read_json_lines(tmp_path / "run" / f"{name}.jsonl") for name in ("metrics", "timings")
    )
    assert [line["step"] for line in metrics] == [line["step"] for line in timings]
    times = {"seconds", "tokens_per_s", "share_rollouts", "peak_memory_gib"}
    assert times < set(timings[0]) and not times & set(metrics[0])
    assert metrics[0].keys() >= {"grad_norm", "norm_ratio", "nearest_token", "learning_rate"}
    assert 0 < metrics[0]["nearest_token"] < metrics[-1]["nearest_token"]  # it starts on tokens


@pytest.mark.parametrize("newest", ["damaged", "incomplete"])
def test_a_bad_newest_checkpoint_costs_two_steps_and_nothing_else(split, tmp_path, newest):
    expected = train(tmp_path / "whole", split)
    train(tmp_path / "cut", split)
    last = tmp_path / "cut" / "checkpoints" / "step-000006"
    if newest == "damaged":
        (last / "state.safetensors").write_bytes(b"torn")
    else:
        (last / "state.json").unlink()
    found = train(tmp_path / "cut", split)
    assert torch.equal(found.prompt, expected.prompt)
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert lines[0] == lines[1]


def test_another_thread_count_is_noted(split, tmp_path, monkeypatch):
    train(tmp_path / "run", split)
    monkeypatch.setattr(checkpoint.torch, "get_num_threads", lambda: 9)
    notes = train(tmp_path / "run", split).notes
    assert len(notes) == 1 and "continued at step 6 on 9 thread(s) instead of" in notes[0]


@pytest.mark.parametrize("what", ["missing", "changed"])
def test_lines_that_were_lost_are_noted(split, tmp_path, what):
    train(tmp_path / "run", split)
    metrics = tmp_path / "run" / "metrics.jsonl"
    if what == "missing":
        metrics.unlink()
        expected = "metrics.jsonl is missing since step 6"
    else:
        metrics.write_text(metrics.read_text().replace("0.", "1.", 1))
        expected = "metrics.jsonl has changed since step 6: its lines are left out"
    assert train(tmp_path / "run", split).notes == (expected,)
    assert not metrics.exists()


@pytest.mark.parametrize("content", ['{"st": 1}\n', "[1]\n", "nonsense\n{}\n", '{"step": "x"}\n'])
def test_damaged_timings_start_anew(split, tmp_path, content):
    train(tmp_path / "run", split)
    (tmp_path / "run" / "timings.jsonl").write_text(content)
    assert train(tmp_path / "run", split).notes == ()
    assert not (tmp_path / "run" / "timings.jsonl").exists()


class Two(Ranks):
    """Rank 0 of two; the other says what it was given."""

    def gather(self, value):
        return [value, {"training": 5, "validation": 1}]


@pytest.mark.parametrize(("rank", "paid"), [(0, {"training": 12, "validation": 1}), (1, {})])
def test_rank_0_is_charged_for_all(pair, rank, paid):
    pair.ledger.by_phase = {"training": 7}
    costs = Costs(pair, Two(rank, 2))
    state = costs.state_dict()
    assert pair.ledger.by_phase == state["ledger"] == paid
    costs.load_state_dict({**state, "ledger": {"training": 12, "validation": 1}})  # rank 0's
    assert pair.ledger.by_phase == paid
