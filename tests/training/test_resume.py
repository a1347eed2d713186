"""Continuing at any step is not continuing at all, to the bit.

A training saves after every step. Then, for every step k, a fresh trainer takes up the
checkpoint of step k and takes one step: its checkpoint and its metrics file have to be the
uninterrupted training's, byte for byte. By induction so is everything that follows.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import pytest
from tiny_training import DEEPSPEED_WARNS, config, open_for, tiny_pair

from softdiv.builtin.losses import JsdLoss
from softdiv.training.loop import TrainingLoop
from softdiv.training.trainer import DivergenceTrainer

STEPS = 30
VARIANTS = {
    "adamw": {},
    "accumulation 3": {"gradient_accumulation_steps": 3},
    "warm-up": {"warmup_steps": 12, "schedule": "cosine"},
    "mid-epoch": {"batch_size": 2},  # seven texts: an epoch ends in the middle of a step
}
ENGINES = ("torch", "deepspeed-0", "deepspeed-2")


def trainer_in(run, pair, cfg, split):
    pair.forget_prefixes()  # as in a new process
    pair.ledger.by_phase.clear()
    return DivergenceTrainer(pair, cfg, JsdLoss(), split, run)


def files(checkpoint: Path):
    return {path.name: path.read_bytes() for path in checkpoint.iterdir()}


def mismatches(engine, variant, split, folder):
    if variant == "mid-epoch":
        split = attrs.evolve(split, train=split.train[:7])
    options = {
        "batch_size": 1,
        "validate_every": 4,
        "validation_texts": 2,
        "response_tokens": 3,
        "weight_decay": 0.01,
        **VARIANTS[variant],
    }
    cfg = config(engine, max_steps=STEPS, checkpoint_every=1, keep_checkpoints=STEPS, **options)
    pair, found = tiny_pair(), []
    with open_for(cfg, folder / "whole") as run:
        trainer_in(run, pair, cfg, split).train()
    lines = (folder / "whole" / "metrics.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == STEPS
    for step in range(1, STEPS + 1):
        name = f"step-{step:06d}"
        cut = folder / f"cut-{step}"
        with open_for(cfg, cut) as run:
            shutil.copytree(folder / "whole" / "checkpoints" / name, cut / "checkpoints" / name)
            shutil.copy(folder / "whole" / "metrics.jsonl", cut / "metrics.jsonl")
            loop = TrainingLoop(trainer_in(run, pair, cfg, split).parts)
            event = loop.start()
            if step == STEPS:
                loop.parts.checkpoints.save(step)
            else:
                loop.one_step(event)
        after = min(step + 1, STEPS)
        path = Path("checkpoints") / f"step-{after:06d}"
        if files(cut / path) != files(folder / "whole" / path):
            found.append((step, "checkpoint"))
        if (cut / "metrics.jsonl").read_text() != "".join(lines[:after]):
            found.append((step, "metrics.jsonl"))
    return found


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("engine", ENGINES)
@DEEPSPEED_WARNS
def test_every_step_continues_bit_for_bit(engine, variant, split, tmp_path):
    if engine != "torch":
        pytest.importorskip("deepspeed")
    assert mismatches(engine, variant, split, tmp_path) == []
