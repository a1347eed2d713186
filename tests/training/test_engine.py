from __future__ import annotations

import importlib.util

import pytest
import torch
from tiny_training import DEEPSPEED_WARNS, config

from softdiv.errors import TrainingError
from softdiv.training.engine import make_engine
from softdiv.training.soft_prompt import DivergenceSoftPrompt


def fresh(values=None) -> DivergenceSoftPrompt:
    if values is None:
        values = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    return DivergenceSoftPrompt(values, mean_norm=1.0)


def advance(engine, steps):
    for _ in range(steps):
        values = engine.values()
        engine.step(2 * values + values.cos())


def training_of(engine, **training):
    return config(engine, **training).training


def make(engine, values=None, **training):
    return make_engine(training_of(engine, **training), fresh(values), total_steps=40)


ENGINES = ["torch", "deepspeed-0", "deepspeed-1", "deepspeed-2", "deepspeed-3"]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("engine", ENGINES)
@DEEPSPEED_WARNS
def test_state_restores_bit_for_bit(engine, optimizer):
    if engine != "torch":
        pytest.importorskip("deepspeed")
    options = {"optimizer": optimizer, "weight_decay": 0.1, "schedule": "cosine"}
    whole = make(engine, **options)
    states = [whole.state_dict()]
    for _ in range(10):
        advance(whole, 1)
        states.append(whole.state_dict())
    for start in (0, 1, 5):  # 0: before the optimizer has any moments
        other = make(engine, torch.zeros(4, 8), **options)
        other.load_state_dict(states[start])
        for step in range(start, 10):
            same(other.state_dict(), dict(states[step]))
            advance(other, 1)
        same(other.state_dict(), dict(states[10]))
        assert other.learning_rate() == whole.learning_rate()


def same(one, two):
    assert set(one) == set(two) and one.pop("steps") == two.pop("steps")
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("engine", ENGINES[1:])
@DEEPSPEED_WARNS
def test_deepspeed_gives_torchs_numbers(engine, optimizer, capsys):
    pytest.importorskip("deepspeed")
    options = {"optimizer": optimizer, "learning_rate": 0.05, "schedule": "linear"}
    plain, deep = make("torch", **options), make(engine, **options)
    for _ in range(20):
        assert plain.learning_rate() == deep.learning_rate()
        advance(plain, 1)
        advance(deep, 1)
    assert deep.name == "deepspeed"
    assert torch.allclose(plain.values(), deep.values(), atol=1e-6, rtol=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("engine", ["torch", "deepspeed-0", "deepspeed-2"])
@DEEPSPEED_WARNS
def test_the_gradient_is_clipped(engine):
    if engine != "torch":
        pytest.importorskip("deepspeed")
    options = {"optimizer": "sgd", "learning_rate": 1.0, "warmup_steps": 0}
    gradient = torch.full((4, 8), 3.0)
    for limit, wanted in ((0.5, 0.5), (0.0, float(gradient.norm()))):
        made = make(engine, gradient_clip=limit, **options)
        before = made.values()
        made.step(gradient)
        assert float((made.values() - before).norm()) == pytest.approx(wanted, rel=1e-4)


def test_auto_falls_back_and_asking_says_how_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert make("auto").name == "torch"
    with pytest.raises(TrainingError, match="pip install"):
        make("deepspeed")
