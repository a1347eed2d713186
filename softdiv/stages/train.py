"""Train the soft prompt."""

from __future__ import annotations

from pathlib import Path

import attrs

from softdiv.organism.recipe import load_detector
from softdiv.stages.load import load
from softdiv.stages.work import Work
from softdiv.storage.atomic import read_json, sha256_file
from softdiv.training.continuation import METRICS
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.trainer import BEST, DivergenceTrainer, TrainingResult

TRAINING = "training.json"


def train(work: Work) -> None:
    """Train, or go on where a killed training stopped. Writes the prompt and ``training.json``.

    Raises:
        ConfigError: the pair's organism is none, said before anything is computed.
        TrainingError: the loss or the gradient is not finite.
    """
    if work.run.done("train"):
        return
    if work.config.pair.organism is not None:
        load_detector(Path(work.config.pair.organism))
    loaded, run = load(work), work.run
    with work.stage("train") as stage:
        loaded.pair.forget_prefixes()
        work.trainer = DivergenceTrainer(
            pair=loaded.pair,
            config=work.config,
            loss=work.parts.loss,
            split=loaded.split,
            run=run,
            observers=work.observers,
            metrics=work.parts.metrics.beside({}),
        )
        result = work.trainer.train()
        stage.notes += result.notes
        facts = attrs.asdict(result, filter=attrs.filters.exclude("prompt"))
        stage.files |= run.write_json(TRAINING, facts)
        written = (name for name in (BEST, METRICS) if (run.path / name).exists())
        stage.files |= {name: sha256_file(run.path / name) for name in written}


def read_training(work: Work) -> TrainingResult:
    """What training found. Raises RunError if it has not finished."""
    work.require("train", "trained soft prompt")
    prompt = DivergenceSoftPrompt.load(work.run.path / BEST)
    return TrainingResult(prompt=prompt.embeddings.detach(), **read_json(work.run.path / TRAINING))
