from __future__ import annotations

import os
import signal

import pytest
import torch
from tiny_training import config, open_for, tiny_pair

from softdiv import hookimpl
from softdiv.builtin.losses import JsdLoss
from softdiv.errors import Interrupted
from softdiv.plugin.observers import Observers
from softdiv.training.interruption import Interruption
from softdiv.training.trainer import DivergenceTrainer


class Sender:
    """Signals its own process in the middle of a step."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    @hookimpl
    def softdiv_before_step(self, event):
        if event.step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_after_the_step_and_the_run_goes_on_exactly(split, tmp_path, number):
    cfg = config(max_steps=8, checkpoint_every=100, validate_every=3)
    with open_for(cfg, tmp_path / "whole") as run:
        expected = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run).train()
    before = signal.getsignal(number)
    with open_for(cfg, tmp_path / "cut") as run:
        hub = Observers.of([(Sender(3, number), "sender")])
        with pytest.raises(Interrupted, match=f"{number.name}: stopped after step 4"):
            DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run, hub).train()
    assert signal.getsignal(number) is before
    assert [p.name for p in (tmp_path / "cut" / "checkpoints").iterdir()] == ["step-000004"]
    with open_for(cfg, tmp_path / "cut") as run:
        found = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run).train()
    assert torch.equal(found.prompt, expected.prompt)
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert lines[0] == lines[1]


def test_the_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        assert interruption.asked == "SIGTERM"
        signal.raise_signal(signal.SIGTERM)
