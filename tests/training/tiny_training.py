from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.load import ExperimentConfig
from softdiv.pair.manager import ModelPair
from softdiv.storage.run import RunFolder, open_run
from softdiv.training.objective import Answered
from softdiv.training.trainer import DivergenceTrainer

DEEPSPEED_WARNS = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning",
    "ignore:`torch.distributed.all_gather_into_tensor` is deprecated:FutureWarning",
    "ignore:`torch.distributed.reduce_scatter_tensor` is deprecated:FutureWarning",
)


def tiny_pair(noise: float = 0.05) -> ModelPair:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=noise).load("cpu")
    return ModelPair.of(model_1, model_2, tokenizer)


def engine_table(engine: str) -> dict[str, object]:
    """``"torch"``, ``"deepspeed"`` or ``"deepspeed-2"`` with the ZeRO stage."""
    name, _, stage = engine.partition("-")
    return {"name": name, "zero_stage": int(stage or 0)}


def config(engine: str = "torch", **training: object) -> ExperimentConfig:
    table = {
        "num_soft_prompt_tokens": 4,
        "engine": engine_table(engine),
        "num_epochs": 100,
        "batch_size": 2,
        "patience": 100,
        **training,
    }
    return ExperimentConfig.from_dict({"seed": 3, "training": table})


def answered(trainer: DivergenceTrainer) -> list[Answered]:
    """The first step's texts with fresh answers."""
    return trainer.parts.answers.to_step(trainer.parts.schedule, 0, trainer.engine.values())


def open_for(cfg: ExperimentConfig, folder: Path) -> RunFolder:
    """The run in exactly this folder."""
    return open_run(cfg.to_dict(), cfg.to_toml(), name="tiny", parent=folder.parent, folder=folder)
