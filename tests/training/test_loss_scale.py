from __future__ import annotations

import pytest
import torch
from tiny_training import config, tiny_pair

from softdiv.builtin.losses import JsdLoss
from softdiv.training.loss_scale import GROW_AFTER, START, LossScale
from softdiv.training.trainer import DivergenceTrainer


def test_halves_and_grows():
    scale = LossScale(True)
    assert scale.after(False) and scale.value == START / 2
    for _ in range(GROW_AFTER - 1):
        scale.after(True)
    assert scale.value == START / 2
    scale.after(True)
    assert scale.value == START


def test_at_one_the_scale_explains_nothing():
    scale = LossScale(True)
    scale.value = 1.0
    assert not scale.after(False)
    fixed = LossScale(False)
    assert fixed.value == 1.0 and not fixed.after(False)


def test_fp16_trains_with_a_scale_and_agrees_with_fp32(split):
    prompts = []
    for mixed in (False, True):
        cfg = config(mixed_precision=mixed, autocast="fp16", max_steps=5)
        trainer = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split)
        assert (trainer.parts.step.scale.value > 1) == mixed
        trainer.train()
        assert trainer.engine.state_dict()["steps"] > 0
        prompts.append(trainer.engine.values())
    assert not torch.equal(*prompts)
    assert float((prompts[0] - prompts[1]).abs().max()) < 0.1


def test_an_overflow_halves_the_scale_and_is_skipped(split):
    cfg = config(mixed_precision=True, autocast="fp16", max_steps=3)
    trainer = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split)
    trainer.parts.step.scale.value = 2.0**40  # far above what fp16 holds
    result = trainer.train()
    assert result.steps == 3 and trainer.parts.step.guards.skipped == 3
    assert (
        trainer.parts.step.scale.value == pytest.approx(2.0**37)
        and trainer.engine.state_dict()["steps"] == 0
    )
