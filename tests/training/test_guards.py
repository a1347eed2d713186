from __future__ import annotations

import math

import pytest
import torch
from tiny_training import config, tiny_pair

from softdiv import hookimpl
from softdiv.builtin.losses import JsdLoss
from softdiv.errors import TrainingError
from softdiv.plugin.observers import Observers
from softdiv.training.guards import DEAD_STEPS, Guards
from softdiv.training.trainer import DivergenceTrainer


class Poisoned:
    """A loss that is not finite in one step, or whose gradient alone is not."""

    trainer = None

    def __init__(self, step, gradient_only):
        self.step, self.gradient_only = step, gradient_only

    def __call__(self, rows):
        values = JsdLoss()(rows)
        if self.trainer.parts.progress.steps != self.step:
            return values
        if self.gradient_only:  # sqrt has a finite value and an infinite slope at 0
            return values + (rows.log_probs_1[:, 0] * 0).sqrt()
        return values / 0


class Watcher:
    def __init__(self):
        self.metrics = []

    @hookimpl
    def softdiv_step_end(self, event):
        self.metrics.append(dict(event.metrics))


def run(split, loss=None, noise=0.05, **training):
    watcher = Watcher()
    trainer = DivergenceTrainer(
        tiny_pair(noise),
        config(**training),
        loss or JsdLoss(),
        split,
        observers=Observers.of([(watcher, "watcher")]),
    )
    return trainer, watcher.metrics


@pytest.mark.parametrize("gradient_only", [False, True])
def test_what_is_not_finite_never_reaches_the_optimizer(split, gradient_only):
    loss = Poisoned(1, gradient_only)
    trainer, metrics = run(split, loss, max_steps=4, validate_every=99)
    loss.trainer, seen = trainer, []
    step = trainer.engine.step
    trainer.engine.step = lambda gradient: (seen.append(gradient), step(gradient))
    trainer.train()
    assert [m["skipped_steps"] for m in metrics] == [0, 1, 1, 1]
    assert len(seen) == 3 and all(bool(g.isfinite().all()) for g in seen)
    assert trainer.engine.state_dict()["steps"] == 3
    assert math.isfinite(metrics[1]["loss"]) == gradient_only
    assert not math.isfinite(metrics[1]["grad_norm"])
    assert metrics[1]["norm_ratio"] == metrics[0]["norm_ratio"]  # the prompt was left alone


def test_several_in_a_row_stop_with_the_reason(split):
    trainer, metrics = run(split, lambda rows: rows.log_probs_1[:, 0] / 0, max_skipped_steps=3)
    before = trainer.engine.values()
    with pytest.raises(TrainingError, match="loss is not finite at step 2.*lower training"):
        trainer.train()
    assert torch.equal(trainer.engine.values(), before) and len(metrics) == 2


def test_a_finite_step_starts_the_count_again():
    guards = Guards()
    for _ in range(3):
        guards.not_finite(0, "loss", 3, explained=False) if guards.skipped_in_a_row < 2 else None
        guards.finite(1.0, True)
    assert guards.skipped == 3 and guards.skipped_in_a_row == 0


def test_a_loss_scale_that_is_too_large_is_no_failure():
    guards = Guards()
    for _ in range(20):
        guards.not_finite(0, "gradient", 3, explained=True)
    assert guards.skipped == 20 and guards.skipped_in_a_row == 0


def test_identical_models_stop_for_lack_of_gradient(split):
    trainer, _ = run(split, noise=0.0)
    result = trainer.train()
    assert result.steps == DEAD_STEPS and "no gradient" in result.stop_reason
    assert result.best_bits == 0.0


def test_a_prompt_that_does_not_move_stops_the_training(split):
    trainer, _ = run(split, learning_rate=1e-14)
    result = trainer.train()
    assert result.steps == DEAD_STEPS and "not moved" in result.stop_reason
