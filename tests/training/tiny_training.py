from __future__ import annotations

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.load import ExperimentConfig
from softdiv.pair.manager import ModelPair

DEEPSPEED_WARNS = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning",
    "ignore:`torch.distributed.all_gather_into_tensor` is deprecated:FutureWarning",
    "ignore:`torch.distributed.reduce_scatter_tensor` is deprecated:FutureWarning",
)


def tiny_pair(noise: float = 0.05) -> ModelPair:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=noise).load("cpu")
    return ModelPair.of(model_1, model_2, tokenizer)


def config(engine: str = "torch", **training: object) -> ExperimentConfig:
    table = {
        "num_soft_prompt_tokens": 4,
        "engine": {"name": engine},
        "num_epochs": 100,
        "batch_size": 2,
        "patience": 100,
        **training,
    }
    return ExperimentConfig.from_dict({"seed": 3, "training": table})
