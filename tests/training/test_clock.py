from __future__ import annotations

import torch

from softdiv.training import clock
from softdiv.training.clock import PARTS, Clock


def test_shares_and_rates_of_one_lap(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    watch = Clock(torch.device("cpu"))
    for part, seconds in (("model_1", 1.0), ("model_2", 2.0), ("model_1", 1.0)):
        with watch.part(part):
            now[0] += seconds
    now[0] += 4.0  # the rest
    found = watch.lap(tokens=16)
    assert found["seconds"] == 8.0 and found["tokens_per_s"] == 2.0
    assert (found["share_model_1"], found["share_model_2"]) == (0.25, 0.25)
    assert found["share_rollouts"] == 0.0 and {f"share_{p}" for p in PARTS} < set(found)
    assert found["peak_memory_gib"] > 0.01  # a process with torch in it
    now[0] += 1.0
    assert watch.lap(tokens=0)["share_model_1"] == 0.0  # a new lap starts from nothing
