from __future__ import annotations

import pytest
import torch
from tiny_training import answered, config, tiny_pair

from softdiv.builtin.losses import JsdLoss
from softdiv.errors import TrainingError
from softdiv.training.trainer import DivergenceTrainer


def trainer_of(split, loss=None, **training):
    return DivergenceTrainer(tiny_pair(), config(**training), loss or JsdLoss(), split)


def whole(trainer, batch, scale=1.0):
    tokens = sum(len(answer) for _, answer in batch)
    return trainer.parts.step.objective.partial(trainer.engine.values(), batch, tokens, scale)


def test_gradient_reaches_the_prompt_and_no_model(split):
    trainer = trainer_of(split)
    found = whole(trainer, answered(trainer))
    assert float(found.gradient.norm()) > 0
    assert found.bits == pytest.approx(-found.loss)
    for wrapper in (trainer.pair.model_1, trainer.pair.model_2):
        assert all(p.grad is None and not p.requires_grad for p in wrapper.model.parameters())


def test_gradient_is_that_of_finite_differences(split):
    trainer = trainer_of(split)
    batch, start, size = answered(trainer), trainer.engine.values(), 1e-2
    gradient = whole(trainer, batch).gradient
    direction = gradient / gradient.norm()
    losses = []
    for sign in (1, -1):
        trainer.engine.assign(start + sign * size * direction)
        losses.append(whole(trainer, batch).loss)
    slope = (losses[0] - losses[1]) / (2 * size)
    assert slope == pytest.approx(float(gradient.norm()), rel=2e-2)


def test_recomputing_activations_changes_nothing(split):
    gradients = [
        whole(t, answered(t)).gradient
        for t in (trainer_of(split, gradient_checkpointing=r) for r in (False, True))
    ]
    assert torch.allclose(*gradients, atol=1e-7)


def test_parts_of_a_batch_add_up_to_it(split):
    # answers of different lengths: a mean per micro-batch would weigh their tokens differently
    trainer = trainer_of(split, batch_size=4)
    batch = [(example, answer[: n + 1]) for n, (example, answer) in enumerate(answered(trainer))]
    tokens = sum(len(answer) for _, answer in batch)
    soft, joint = trainer.engine.values(), whole(trainer, batch)
    parts = [
        trainer.parts.step.objective.partial(soft, part, tokens) for part in (batch[:1], batch[1:])
    ]
    assert torch.allclose(joint.gradient, sum(p.gradient for p in parts), atol=1e-7)
    assert joint.loss == pytest.approx(sum(p.loss for p in parts), abs=1e-7)


def test_scale_multiplies_the_gradient_alone(split):
    trainer = trainer_of(split)
    batch = answered(trainer)
    plain, scaled = whole(trainer, batch), whole(trainer, batch, scale=1024.0)
    assert torch.equal(plain.gradient * 1024, scaled.gradient) and plain.loss == scaled.loss


@pytest.mark.parametrize(("autocast", "close"), [("bf16", 0.2), ("fp16", 0.03)])
def test_autocast_gives_about_the_same_gradient(split, autocast, close):
    trainer = trainer_of(split)
    batch = answered(trainer)
    mixed = trainer_of(split, mixed_precision=True, autocast=autocast)
    one, two = whole(trainer, batch, 1.0), whole(mixed, batch, 1024.0)
    error = (two.gradient / 1024 - one.gradient).norm() / one.gradient.norm()
    assert 0 < float(error) < close


def test_a_loss_may_ignore_one_model_but_not_both(split):
    trainer = trainer_of(split, loss=lambda rows: -rows.log_probs_1[:, 3])
    assert float(whole(trainer, answered(trainer)).gradient.norm()) > 0
    trainer = trainer_of(split, loss=lambda rows: torch.zeros(len(rows.targets)))
    with pytest.raises(TrainingError, match="no gradient"):
        whole(trainer, answered(trainer))
