from __future__ import annotations

import pytest
import torch
from tiny_training import answered, config, tiny_pair

from softdiv.builtin.losses import JsdLoss
from softdiv.errors import TrainingError
from softdiv.pair.memory import in_parts, out_of_memory
from softdiv.training.trainer import DivergenceTrainer

CPU = "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"


def error_of(kind):
    return torch.OutOfMemoryError("CUDA out of memory") if kind == "cuda" else RuntimeError(CPU)


def test_which_errors_mean_out_of_memory():
    assert out_of_memory(error_of("cuda")) and out_of_memory(error_of("cpu"))
    assert out_of_memory(RuntimeError("not enough memory: you tried to allocate 9 bytes"))
    assert not out_of_memory(RuntimeError("shapes do not match"))


def test_parts_shrink_and_nothing_is_lost_or_done_twice():
    sizes = []

    def work(part):
        if len(part) > 2:
            raise error_of("cpu")
        return list(part)

    parts = list(in_parts(range(11), 8, work, sizes.append))
    assert [item for part in parts for item in part] == list(range(11))
    assert sizes == [4, 2] and max(map(len, parts)) == 2


def test_other_errors_pass():
    def work(part):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(in_parts([1, 2], 2, work, pytest.fail))


def test_one_item_that_does_not_fit_says_what_to_do():
    def work(part):
        raise error_of("cuda")

    with pytest.raises(TrainingError, match="gradient_checkpointing"):
        list(in_parts([1, 2], 2, work, lambda size: None))


class Small:
    """An objective that runs out of memory after more than ``limit`` texts' backward pass."""

    def __init__(self, objective, limit, kind):
        self.objective, self.limit, self.kind = objective, limit, kind
        self.charged, self.pair = objective.charged, objective.pair

    def partial(self, soft, batch, tokens, scale):
        found = self.objective.partial(soft, batch, tokens, scale)
        if len(batch) > self.limit:
            raise error_of(self.kind)
        return found


def fails_above(trainer, limit, kind):
    step = trainer.parts.step
    step.objective = Small(step.objective, limit, kind)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_out_of_memory_leaves_batch_and_gradient_unchanged(split, kind):
    options = {"batch_size": 4, "gradient_accumulation_steps": 2}
    plain = DivergenceTrainer(tiny_pair(), config(**options), JsdLoss(), split)
    batch = answered(plain)
    loss, bits, gradient = plain.parts.step.gradient(plain.engine.values(), batch)
    small = DivergenceTrainer(tiny_pair(), config(**options), JsdLoss(), split)
    fails_above(small, 1, kind)
    found = small.parts.step.gradient(small.engine.values(), batch)
    assert torch.allclose(found[2], gradient, atol=1e-7)
    assert found[:2] == pytest.approx((loss, bits), abs=1e-6)
    assert small.parts.step.micro_batch == 1
    assert "2 text(s) per forward pass" in small.parts.journal.notes[0]


def test_a_training_that_ran_out_of_memory_ends_like_one_that_did_not(split):
    results, spent = [], []
    for limit in (99, 2):
        options = {"batch_size": 4, "max_steps": 6}
        trainer = DivergenceTrainer(tiny_pair(), config(**options), JsdLoss(), split)
        fails_above(trainer, limit, "cpu")
        results.append((trainer.train(), trainer.engine.values()))
        spent.append(dict(trainer.pair.ledger.by_phase))
    assert spent[0] == spent[1]
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5)
    assert not results[0][0].notes and "out of memory at step 0" in results[1][0].notes[0]


def test_fewer_rows_are_decoded_together(split, monkeypatch):
    from softdiv.divergence import batches

    trainer = DivergenceTrainer(tiny_pair(), config(batch_size=4), JsdLoss(), split)
    expected, rollout = answered(trainer), batches.rollout

    def limited(pair, contexts, **options):
        if len(contexts) > 5:
            raise error_of("cpu")
        return rollout(pair, contexts, **options)

    monkeypatch.setattr(batches, "rollout", limited)
    trainer.parts.answers.pending.clear()
    assert answered(trainer) == expected
    assert (
        trainer.parts.answers.sampler.limit.rows <= 5
        and "row(s) at a time" in trainer.parts.journal.notes[-1]
    )
