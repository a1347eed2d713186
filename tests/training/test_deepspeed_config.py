from __future__ import annotations

import json

import attrs
import pytest
import torch
from tiny_training import DEEPSPEED_WARNS, config

from softdiv.errors import ConfigError
from softdiv.training.deepspeed_config import deepspeed_config
from softdiv.training.engine import make_engine
from softdiv.training.soft_prompt import DivergenceSoftPrompt


def training(path, table, **options):
    (path / "ds.json").write_text(json.dumps(table) if isinstance(table, dict) else table)
    engine = {"name": "deepspeed", "zero_stage": 2, "deepspeed_config": str(path / "ds.json")}
    return type(config()).from_dict({"training": {**options, "engine": engine}}).training


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"trian_batch_size": 2}, "unknown key 'trian_batch_size'; did you mean 'train_batch_"),
        ({"zero_optimization": True}, "zero_optimization: expected a table"),
        ({"optimizer": "AdamW"}, "optimizer: expected a table"),
        ({"elasticity": {"enabled": True}}, "unknown key 'elasticity'"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path, table, message):
    with pytest.raises(ConfigError, match=message):
        deepspeed_config(training(tmp_path, table))


@DEEPSPEED_WARNS
@pytest.mark.parametrize(
    "zero", [{"stage": 2, "stagee": 3}, {"stage": 2, "offload_optimizer": {"device": "cpu"}}]
)
def test_what_deepspeed_refuses_is_one_line_with_the_file(tmp_path, zero):
    pytest.importorskip("deepspeed")
    options = training(tmp_path, {"zero_optimization": zero})
    with pytest.raises(ConfigError, match=r"ds\.json: DeepSpeed refuses it: ") as caught:
        make_engine(options, DivergenceSoftPrompt(torch.ones(2, 4), mean_norm=1.0), total_steps=5)
    assert "\n" not in str(caught.value)


@DEEPSPEED_WARNS
def test_what_does_not_contradict_is_passed_on_and_accepted(tmp_path):
    pytest.importorskip("deepspeed")
    table = {
        "train_batch_size": 12,
        "train_micro_batch_size_per_gpu": 4,
        "gradient_accumulation_steps": 3,
        "gradient_clipping": "auto",
        "zero_optimization": {"stage": 2, "reduce_bucket_size": 4096, "overlap_comm": "auto"},
        "optimizer": {"type": "AdamW", "params": {"lr": 0.01, "weight_decay": "auto"}},
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": False},
    }
    options = training(tmp_path, table, batch_size=4, gradient_accumulation_steps=3)
    merged = deepspeed_config(options)
    assert merged["zero_optimization"] == {"stage": 2, "reduce_bucket_size": 4096}
    assert merged["gradient_clipping"] == 1.0 and "optimizer" not in merged
    prompt = DivergenceSoftPrompt(torch.ones(2, 4), mean_norm=1.0)
    engine = make_engine(options, prompt, total_steps=5)
    engine.step(torch.ones(2, 4))
    assert engine._engine.config["zero_optimization"]["reduce_bucket_size"] == 4096


def test_contradictions_are_all_named_with_both_values(tmp_path):
    table = {
        "gradient_accumulation_steps": 8,
        "gradient_clipping": 0.5,
        "zero_optimization": {"stage": 3},
        "optimizer": {"type": "Adam", "params": {"lr": 0.01, "betas": [0.8, 0.9]}},
        "scheduler": {"type": "WarmupLR"},
        "fp16": {"enabled": True},
    }
    with pytest.raises(ConfigError) as caught:
        deepspeed_config(training(tmp_path, table))
    text = str(caught.value)
    for line in (
        "gradient_accumulation_steps = 8, but training.gradient_accumulation_steps = 1",
        "gradient_clipping = 0.5, but training.gradient_clip = 1.0",
        "zero_optimization.stage = 3, but training.engine.zero_stage = 2",
        "optimizer.type = Adam, but training.optimizer = adamw",
        "optimizer.params.betas",
        "scheduler: softdiv builds the schedule",
        "fp16: the prompt is trained in fp32",
    ):
        assert line in text and "ds.json" in text
    assert len(caught.value.problems) == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[1]", "not a JSON object"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested too deeply"),
        ('{"train_batch_size": %s}' % ("9" * 400), "train_batch_size must be at most"),
        ('{"train_batch_size": %s}' % ("9" * 5000), "4300 digits"),
    ],
)
def test_a_file_that_is_no_json_object(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message) as caught:
        deepspeed_config(training(tmp_path, content))
    assert len(str(caught.value)) < 500


def test_a_folder_or_a_device(tmp_path):
    options = training(tmp_path, {})
    for path in (str(tmp_path), "/dev/zero"):
        engine = attrs.evolve(options.engine, deepspeed_config=path)
        with pytest.raises(ConfigError, match="not a file"):
            deepspeed_config(attrs.evolve(options, engine=engine))


def test_a_missing_file(tmp_path):
    options = training(tmp_path, {})
    (tmp_path / "ds.json").unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        deepspeed_config(options)
