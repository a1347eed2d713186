"""Train the soft prompt."""

from __future__ import annotations

from pathlib import Path

import attrs

from softdiv.config.load import ExperimentConfig
from softdiv.organism.recipe import load_detector
from softdiv.pair.manager import ModelPair
from softdiv.stages.load import load
from softdiv.stages.work import Work
from softdiv.storage.atomic import sha256_file
from softdiv.storage.records import read_record
from softdiv.training.checkpoint import BEST, METRICS
from softdiv.training.result import TrainingFacts, TrainingResult
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.trainer import DivergenceTrainer

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
            config=worth_training(work.config, loaded.pair),
            loss=work.parts.loss,
            split=loaded.split,
            run=run,
            observers=work.observers,
            metrics=work.parts.metrics.beside({}),
        )
        result = work.trainer.train()
        if loaded.pair.report.same:
            result = attrs.evolve(result, stop_reason="the models are identical")
        stage.notes += result.notes
        facts = attrs.asdict(result, filter=attrs.filters.exclude("prompt"))
        stage.files |= run.write_json(TRAINING, facts)
        # again, from memory: the file may be of the process that was killed before this one
        stage.files[BEST] = work.trainer.prompt.copy_of(result.prompt).save(run.path / BEST)
        if (run.path / METRICS).exists():
            stage.files[METRICS] = sha256_file(run.path / METRICS)


def worth_training(config: ExperimentConfig, pair: ModelPair) -> ExperimentConfig:
    """No step is taken on one and the same model twice."""
    return config.with_overrides("training.max_steps=0") if pair.report.same else config


def read_training(work: Work) -> TrainingResult:
    """What training found. Raises RunError if it has not finished."""
    work.require("train", "trained soft prompt")
    prompt = DivergenceSoftPrompt.load(work.run.file(BEST))
    facts = read_record(work.run.file(TRAINING), TrainingFacts)
    return TrainingResult(prompt=prompt.embeddings.detach(), **attrs.asdict(facts, recurse=False))
