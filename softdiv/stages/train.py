"""Train the soft prompt."""

from __future__ import annotations

from pathlib import Path

import attrs

from softdiv.config.load import ExperimentConfig
from softdiv.evaluation.detector import load_detector
from softdiv.pair.manager import ModelPair
from softdiv.stages.load import load, refuse_no_texts
from softdiv.stages.work import Work
from softdiv.storage.atomic import sha256_file
from softdiv.storage.records import read_record
from softdiv.training.best import BEST
from softdiv.training.journal import METRICS
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
        if reason := nothing_to_train(work.config, loaded.pair):
            untrained = DivergenceSoftPrompt.create(
                loaded.pair.model_1, loaded.layout, work.config.training, work.config.seed
            )
            facts = TrainingFacts(best_bits=None, steps=0, stop_reason=reason, engine="none")
            stage.files |= run.write_json(TRAINING, attrs.asdict(facts))
            stage.files[BEST] = untrained.save(run.path / BEST)
            return
        refuse_no_texts(loaded.split, "training")
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
        found = attrs.asdict(result, filter=attrs.filters.exclude("prompt"))
        stage.files |= run.write_json(TRAINING, found)
        # again, from memory: the file may be of the process that was killed before this one
        stage.files[BEST] = work.trainer.prompt.copy_of(result.prompt).save(run.path / BEST)
        if (run.path / METRICS).exists():
            stage.files[METRICS] = sha256_file(run.path / METRICS)


def nothing_to_train(config: ExperimentConfig, pair: ModelPair) -> str:
    """Why no step is to be taken; empty where there is something to train."""
    if pair.report.same:
        return "the models are identical"
    return "no steps were asked for" if config.training.max_steps == 0 else ""


def read_training(work: Work) -> TrainingResult:
    """What training found. Raises RunError if it has not finished."""
    work.require("train", "trained soft prompt")
    prompt = DivergenceSoftPrompt.load(work.run.file(BEST))
    facts = read_record(work.run.file(TRAINING), TrainingFacts)
    return TrainingResult(prompt=prompt.embeddings.detach(), **attrs.asdict(facts, recurse=False))
