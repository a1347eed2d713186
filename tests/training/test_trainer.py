from __future__ import annotations

import math

import attrs
import pytest
import torch
from tiny_training import DEEPSPEED_WARNS, config, open_for, tiny_pair

from softdiv import hookimpl
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.errors import ConfigError, TrainingError
from softdiv.pair.manager import ModelPair
from softdiv.plugin.observers import Observers
from softdiv.storage.atomic import read_json_lines
from softdiv.training.parts import TrainingParts
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.trainer import DivergenceTrainer


def test_fifty_steps_raise_divergence(pair, split):
    trainer = DivergenceTrainer(
        pair, config(max_steps=50, learning_rate=0.05, max_norm_ratio=2.0), JsdLoss(), split
    )
    before = trainer.validate()
    result = trainer.train()
    assert result.steps == 50 and result.engine == "torch"
    assert result.best_bits > 1.05 * before
    assert trainer.prompt.norm_ratio() <= 2.0 + 1e-5
    assert set(pair.ledger.by_phase) >= {"training", "validation"}


def test_a_validation_that_is_not_finite_is_never_the_best(pair, split, tmp_path, monkeypatch):
    cfg = config(max_steps=4, validate_every=1, checkpoint_every=1)
    bits = iter([math.nan, 0.25, math.inf, 0.125])
    monkeypatch.setattr(TrainingParts, "validate", lambda _: next(bits))
    with open_for(cfg, tmp_path / "some") as run:
        result = DivergenceTrainer(pair, cfg, JsdLoss(), split, run).train()
    assert result.best_bits == 0.25
    lines = read_json_lines(tmp_path / "some" / "metrics.jsonl")
    assert [line["validation_bits"] for line in lines] == [None, 0.25, None, 0.125]

    monkeypatch.setattr(TrainingParts, "validate", lambda _: math.nan)
    with open_for(cfg, tmp_path / "none") as run:
        for _ in range(2):  # the folder can be gone on with, to the same end
            with pytest.raises(TrainingError, match="no validation gave a finite divergence"):
                DivergenceTrainer(pair, cfg, JsdLoss(), split, run).train()


def test_autocast_in_other_16_bits_than_the_weights_is_refused(split):
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    half = ModelPair.of(model_1.half(), TinyLoader(seed=1).load("cpu")[0].half(), tokenizer)
    with pytest.raises(ConfigError, match="autocast = bf16, but model_1 is loaded in float16"):
        DivergenceTrainer(half, config(mixed_precision=True), JsdLoss(), split)
    DivergenceTrainer(half, config(mixed_precision=True, autocast="fp16"), JsdLoss(), split)


def test_a_step_of_more_texts_than_there_are_is_noted(pair, split):
    few = attrs.evolve(split, train=split.train[:3])
    result = DivergenceTrainer(pair, config(max_steps=1, batch_size=4), JsdLoss(), few).train()
    assert result.notes == ("a step takes 4 texts and there are 3: texts repeat within a step",)


def test_validation_uses_the_prompt(pair, split):
    trainer = DivergenceTrainer(pair, config(), JsdLoss(), split)
    first = trainer.validate()
    assert trainer.validate() == first
    trainer.engine.assign(trainer.engine.values().flip(0) * 3)
    assert trainer.validate() != first


@DEEPSPEED_WARNS
def test_torch_and_deepspeed_agree_over_twenty_steps(split):
    pytest.importorskip("deepspeed")
    prompts = []
    for engine in ("torch", "deepspeed"):
        trainer = DivergenceTrainer(
            tiny_pair(),
            config(engine, max_steps=20, gradient_accumulation_steps=2),
            JsdLoss(),
            split,
        )
        assert trainer.train().engine == engine
        prompts.append(trainer.engine.values())
    assert float((prompts[0] - prompts[1]).abs().max()) <= 1e-6


class Killed(BaseException):
    pass


class Killer:
    def __init__(self, step):
        self.step = step

    @hookimpl
    def softdiv_before_step(self, event):
        if event.step == self.step:
            raise Killed


@pytest.mark.parametrize("engine", ["torch", "deepspeed"])
@DEEPSPEED_WARNS
def test_killed_and_continued_is_the_uninterrupted_run(engine, split, tmp_path):
    if engine == "deepspeed":
        pytest.importorskip("deepspeed")
    cfg = config(engine, max_steps=16, checkpoint_every=4, validate_every=5)
    with open_for(cfg, tmp_path / "whole") as run:
        whole = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run)
        expected = whole.train()
    with open_for(cfg, tmp_path / "cut") as run, pytest.raises(Killed):
        hub = Observers.of([(Killer(10), "killer")])
        DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run, hub).train()
    assert len(read_json_lines(tmp_path / "cut" / "metrics.jsonl")) == 10
    with open_for(cfg, tmp_path / "cut") as run:
        again = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run)
        again.parts.resume(again.parts.checkpoints)
        assert again.parts.progress.steps == 8 and again.parts.answers.pending
        found = again.train()
    assert torch.equal(found.prompt, expected.prompt) and found.best_bits == expected.best_bits
    assert torch.equal(again.engine.values(), whole.engine.values())
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert lines[0] == lines[1] and lines[0].count("\n") == 16
    best = DivergenceSoftPrompt.load(tmp_path / "cut" / "checkpoints" / "best.safetensors")
    assert torch.equal(best.embeddings, expected.prompt)
    names = sorted(p.name for p in (tmp_path / "cut" / "checkpoints").glob("step-*"))
    assert names == ["step-000012", "step-000016"]


def test_patience_stops(pair, split):
    cfg = config(learning_rate=1e-12, validate_every=1, patience=2)
    result = DivergenceTrainer(pair, cfg, JsdLoss(), split).train()
    assert "no better" in result.stop_reason and result.steps < 20


def test_an_observer_sees_the_run_and_may_stop_it(pair, split):
    seen = []

    class Watcher:
        @hookimpl
        def softdiv_train_start(self, event):
            seen.append("start")

        @hookimpl
        def softdiv_step_end(self, event):
            seen.append(event.step)
            if event.step == 2:
                event.stop("seen enough")

        @hookimpl
        def softdiv_evaluation_end(self, event):
            seen.append(event.split)

        @hookimpl
        def softdiv_train_end(self, event):
            seen.append(event.stop_reason)

    hub = Observers.of([(Watcher(), "watcher")])
    result = DivergenceTrainer(pair, config(), JsdLoss(), split, observers=hub).train()
    assert hub.failures == []
    assert seen == ["start", 0, 1, 2, "val", "seen enough"] and result.stop_reason == "seen enough"


class Counter:
    """Counts steps and keeps the mean prompt; a continued run must not start it anew."""

    def __init__(self):
        self.steps, self.total = 0, torch.zeros(())

    @hookimpl
    def softdiv_step_end(self, event):
        self.steps += 1
        self.total = self.total + event.prompt.sum()
        event.log("counted", self.steps)

    def state_dict(self):
        return {"steps": self.steps, "total": self.total}

    def load_state_dict(self, state):
        self.steps, self.total = state["steps"], state["total"]


def test_an_observers_state_is_in_the_checkpoint(split, tmp_path):
    cfg = config(max_steps=8, checkpoint_every=4)
    whole, cut = Counter(), Counter()
    hub = Observers.of([(whole, "'counter'")])
    DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, observers=hub).train()
    with open_for(cfg, tmp_path / "cut") as run, pytest.raises(Killed):
        hub = Observers.of([(Counter(), "'counter'"), (Killer(6), "'killer'")])
        DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run, hub).train()
    with open_for(cfg, tmp_path / "cut") as run:
        hub = Observers.of([(cut, "'counter'")])
        DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, run, hub).train()
    assert hub.failures == []
    assert cut.steps == whole.steps == 8 and torch.equal(cut.total, whole.total)
    lines = read_json_lines(tmp_path / "cut" / "metrics.jsonl")
    assert [line["counted"] for line in lines] == list(range(1, 9))


@pytest.mark.parametrize("engine", ["torch", "deepspeed"])
@DEEPSPEED_WARNS
def test_an_observer_sees_and_scales_the_accumulated_gradient(engine, split):
    if engine == "deepspeed":
        pytest.importorskip("deepspeed")

    class Damper:
        def __init__(self):
            self.norms, self.ends = [], []

        @hookimpl
        def softdiv_gradient_ready(self, event):
            self.norms.append(float(event.prompt.grad.norm()))
            event.scale_gradient(0.5)
            event.scale_gradient(0.5)

        @hookimpl
        def softdiv_step_end(self, event):
            assert event.prompt.grad is None
            self.ends.append(event.metrics["grad_norm"])

    damper = Damper()
    hub = Observers.of([(damper, "'damper'")])
    cfg = config(engine, max_steps=3, gradient_accumulation_steps=2)
    damped = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split, observers=hub).train()
    plain = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split).train()
    assert hub.failures == []
    assert damper.ends == pytest.approx([0.25 * norm for norm in damper.norms], rel=1e-5)
    assert not torch.equal(damped.prompt, plain.prompt)
