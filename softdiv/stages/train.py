"""Train the soft prompt."""

from __future__ import annotations

from pathlib import Path

from softdiv import stored
from softdiv.config.load import ExperimentConfig
from softdiv.evaluation.detector import load_detector
from softdiv.pair.manager import ModelPair
from softdiv.stages.by_text import skip_training
from softdiv.stages.load import load, refuse_no_texts
from softdiv.stages.work import Work
from softdiv.storage.atomic import sha256_file
from softdiv.storage.names import BEST, METRICS
from softdiv.training.result import TrainingFacts
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.trainer import DivergenceTrainer


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
    if work.config.pair.by == "text":
        return skip_training(work)
    loaded, run = load(work), work.run
    with work.stage("train") as stage:
        loaded.pair.forget_prefixes()
        if reason := nothing_to_train(work.config, loaded.pair):
            untrained = DivergenceSoftPrompt.create(
                loaded.pair.model_1, loaded.layout, work.config.training, work.config.seed
            )
            facts = TrainingFacts(best_bits=None, steps=0, stop_reason=reason, engine="none")
            stage.files |= stored.write_training(run, facts)
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
        stage.files |= stored.write_training(run, result)
        # again, from memory: the file may be of the process that was killed before this one
        stage.files[BEST] = work.trainer.prompt.copy_of(result.prompt).save(run.path / BEST)
        if (run.path / METRICS).exists():
            stage.files[METRICS] = sha256_file(run.path / METRICS)


def nothing_to_train(config: ExperimentConfig, pair: ModelPair) -> str:
    """Why no step is to be taken; empty where there is something to train."""
    if pair.report.same:
        return "the models are identical"
    return "no steps were asked for" if config.training.max_steps == 0 else ""
