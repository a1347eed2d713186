from __future__ import annotations

import importlib.util

import pytest
import torch
from tiny_training import DEEPSPEED_WARNS, config

from softdiv.errors import TrainingError
from softdiv.training.engine import TorchEngine, make_engine
from softdiv.training.soft_prompt import DivergenceSoftPrompt


def fresh() -> DivergenceSoftPrompt:
    values = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    return DivergenceSoftPrompt(values, mean_norm=1.0)


def advance(engine, steps, accumulation=1):
    norms = []
    for _ in range(steps):
        for part in range(accumulation):
            engine.backward((engine.prompt() - part).pow(2).sum() + engine.prompt().sin().sum())
        norms.append(engine.step())
    return norms


def test_warm_up_is_linear():
    engine = TorchEngine(fresh(), config(learning_rate=0.3, warmup_steps=3).training)
    rates = []
    for _ in range(5):
        rates.append(engine.learning_rate())
        advance(engine, 1)
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3])


def test_accumulation_averages_micro_batches():
    one, two = fresh(), fresh()
    engine_1 = TorchEngine(one, config().training)
    engine_2 = TorchEngine(two, config(gradient_accumulation_steps=2).training)
    engine_1.backward(engine_1.prompt().pow(2).sum())
    for _ in range(2):
        engine_2.backward(engine_2.prompt().pow(2).sum())
    assert torch.allclose(one.embeddings.grad, two.embeddings.grad)


@pytest.mark.parametrize("stage", ["torch", 0, 1, 2, 3])
@DEEPSPEED_WARNS
def test_state_restores_bit_for_bit(stage):
    engine_config = (
        {"name": "torch"} if stage == "torch" else {"name": "deepspeed", "zero_stage": stage}
    )
    if stage != "torch":
        pytest.importorskip("deepspeed")
    training = config().training
    training = type(config()).from_dict({"training": {"engine": engine_config}}).training
    whole = make_engine(training, fresh())
    advance(whole, 5)
    saved = whole.state()
    advance(whole, 5)
    other = make_engine(training, fresh())
    other.load(saved)
    advance(other, 5)
    assert torch.equal(whole.values(), other.values())
    assert whole.state().steps == other.state().steps == 10


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@DEEPSPEED_WARNS
def test_deepspeed_gives_torchs_numbers(stage, accumulation, capsys):
    pytest.importorskip("deepspeed")
    table = {"gradient_accumulation_steps": accumulation, "learning_rate": 0.05}
    build = type(config()).from_dict
    plain = build({"training": {**table, "engine": {"name": "torch"}}}).training
    deep = build(
        {"training": {**table, "engine": {"name": "deepspeed", "zero_stage": stage}}}
    ).training
    engine_1, engine_2 = make_engine(plain, fresh()), make_engine(deep, fresh())
    norms_1, norms_2 = (advance(engine, 20, accumulation) for engine in (engine_1, engine_2))
    assert engine_2.name == "deepspeed"
    assert torch.allclose(engine_1.values(), engine_2.values(), atol=1e-6, rtol=0)
    assert norms_1 == pytest.approx(norms_2, abs=1e-5)
    assert capsys.readouterr().out == ""


def test_auto_falls_back_and_asking_says_how_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert make_engine(config("auto").training, fresh()).name == "torch"
    with pytest.raises(TrainingError, match="pip install"):
        make_engine(config("deepspeed").training, fresh())


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("stage", ["torch", 0, 1, 2, 3])
@DEEPSPEED_WARNS
def test_the_gradient_can_be_read_and_scaled_before_the_step(stage, accumulation):
    """Clipping is off: plain AdamW is deaf to a constant factor, so the norm and moments tell."""
    if stage == "torch":
        engine_config = {"name": "torch"}
    else:
        pytest.importorskip("deepspeed")
        engine_config = {"name": "deepspeed", "zero_stage": stage}
    table = {
        "gradient_accumulation_steps": accumulation,
        "gradient_clip": 0.0,
        "engine": engine_config,
    }
    engine = make_engine(type(config()).from_dict({"training": table}).training, fresh())
    values = engine.values()
    expected = sum(2 * (values - part) + values.cos() for part in range(accumulation))
    for part in range(accumulation):
        engine.backward((engine.prompt() - part).pow(2).sum() + engine.prompt().sin().sum())
    gradient = engine.gradient()
    assert torch.allclose(gradient, expected / accumulation, atol=1e-6)
    gradient.zero_()  # a copy: what the engine steps with is untouched
    engine.scale_gradient(0.5)
    assert torch.allclose(engine.gradient(), expected / accumulation / 2, atol=1e-6)
    assert engine.step() == pytest.approx(float(expected.norm()) / accumulation / 2, rel=1e-5)
    first_moment = engine.state().tensors["exp_avg"]  # (1 - beta_1) g after one step
    assert torch.allclose(first_moment, 0.1 * expected / accumulation / 2, atol=1e-6)
