"""Trains a soft prompt that pushes two frozen models apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.config.build import built, plugins_of
from softdiv.config.load import ExperimentConfig
from softdiv.data.split import Split
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.pair.manager import ModelPair
from softdiv.plugin.events import TrainEvent
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.observers import Observers
from softdiv.ranks.group import Ranks
from softdiv.storage.run import RunFolder
from softdiv.training.checkpoint import Checkpoints
from softdiv.training.inspection import GeneratedExample, Inspector, TextBatch, as_examples
from softdiv.training.loop import TrainingLoop
from softdiv.training.parts import TrainingParts
from softdiv.training.result import TrainingResult


class DivergenceTrainer:
    """Trains one soft prompt: by :meth:`train`, or step by step in a loop of one's own.

    On one process or, under a launcher, on several alike. ::

        for epoch in range(config.num_epochs):
            for batch in dataloader:
                loss = trainer.training_step(batch)
                trainer.log_metrics(trainer.compute_all_metrics(batch))

    Args:
        pair: the two models; or give ``model_1`` and ``model_2``.
        loss: a loss, :class:`Rows` of N rows to ``[N]``, maximised; the config's by default.
        split: user texts; only :meth:`train` and :meth:`validate` need them.
        run: where metrics, checkpoints and the best prompt go; None keeps all in memory, as on
            every rank but 0. An unfinished training found there is continued by :meth:`train`.
        model_1, model_2: :class:`softdiv.ModelWrapper`, or transformers models with ``tokenizer``.
        metrics: what :meth:`compute_all_metrics` computes; one that brings only ``compute_*``
            methods is put beside the config's metrics.

    Raises:
        PairError: the models cannot be compared, or are not given.
        ConfigError, PluginError: the config's loss or a metric cannot be built.
    """

    def __init__(
        self,
        pair: ModelPair | None = None,
        config: ExperimentConfig = ExperimentConfig(),
        loss: Any = None,
        split: Split | None = None,
        run: RunFolder | None = None,
        observers: Observers | None = None,
        *,
        model_1: Any = None,
        model_2: Any = None,
        tokenizer: Any = None,
        metrics: DivergenceMetrics | None = None,
    ) -> None:
        if pair is None:
            pair = ModelPair.of(model_1, model_2, tokenizer, config=config.pair)
        self.config, self.metrics = config, configured_metrics(config, metrics)
        loss = configured_loss(config) if loss is None else loss
        split = split or Split(train=(), val=(), test=())
        self.parts = TrainingParts(pair, config, loss, split, run, observers or Observers())
        self.pair, self.prompt, self.engine = pair, self.parts.prompt, self.parts.engine
        # alone: a loop of one's own may look at its prompt on one rank only
        sampler = attrs.evolve(self.parts.answers.sampler, ranks=Ranks(), metrics=self.metrics)
        self._inspector = Inspector(sampler=sampler, layout=self.parts.layout, config=config)

    def train(self) -> TrainingResult:
        """Run to the end, or to an early stop.

        Raises:
            TrainingError: ``max_skipped_steps`` steps in a row had no finite loss or gradient, or
                one text alone does not fit into memory, or another rank is gone, or there are
                no texts, or no validation was finite.
            Interrupted: SIGINT or SIGTERM; a checkpoint was written after the current step.
        """
        self.parts.check_texts()
        return TrainingLoop(self.parts).run()

    def validate(self) -> float:
        """Mean bits of fresh answers to validation texts, prompt in place.

        The same texts and random numbers every time; every second text is answered by model_2.

        Raises:
            TrainingError: there are no validation texts.
        """
        return self.parts.validate()

    def training_step(self, batch: TextBatch) -> Tensor:
        """One optimizer step on a batch of user texts.

        The models take turns answering under the current prompt, then the prompt is moved so that
        their distributions on those answers part further.

        Args:
            batch: texts, :class:`softdiv.Example` objects, or ``{"text": texts}``; processed
                ``batch_size`` at a time.

        Returns:
            The loss before the step (minus the mean divergence), a scalar without gradient.

        Raises:
            DataError: the batch holds no texts.
            TrainingError: too many losses or gradients in a row were not finite, or one text
                alone does not fit into memory.
        """
        examples, progress = as_examples(batch), self.parts.progress
        with self.pair.ledger.phase("training"):
            answered = self.parts.answers.to(examples, progress.steps, self.engine.values())
        loss = self.parts.step.take(answered, progress.steps)["loss"]
        progress.steps += 1
        return torch.tensor(loss)

    def compute_all_metrics(self, batch: TextBatch) -> dict[str, float]:
        """Every metric of :attr:`metrics`, on fresh answers of both models under the prompt.

        The first ``training.response_tokens`` tokens of each answer count; the same texts meet
        the same random numbers every time. A metric that failed is left out, and
        ``metrics.unavailable`` says why.

        Returns:
            Means over the texts, with ``divergence`` (JSD, bits) first.
        """
        return self._inspector.measure(as_examples(batch), self.engine.values())

    def generate_examples(
        self, prompts: str | Sequence[str], num_examples: int = 5
    ) -> list[GeneratedExample]:
        """Both models' answers with the soft prompt in place, to look at.

        Args:
            prompts: user texts, taken in turn; one text gives ``num_examples`` different answers.
            num_examples: how many, over all texts.

        Raises:
            DataError: there is no text, or ``num_examples`` is below 1.
        """
        return self._inspector.generate(prompts, num_examples, self.engine.values())

    @property
    def history(self) -> list[dict[str, float]]:
        """What :meth:`log_metrics` was given, with its ``step``."""
        return self.parts.journal.history

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep numbers: in :attr:`history`, in the run's ``metrics.jsonl``, and for trackers.

        Args:
            step: index of the step they belong to; by default the last one taken.
        """
        parts, steps = self.parts, self.parts.progress.steps
        number = max(steps - 1, 0) if step is None else step
        numbers = {name: float(value) for name, value in metrics.items()}
        parts.journal.log({"step": number, **numbers})
        event = TrainEvent(
            run_dir=parts.run.path if parts.run else None,
            step=number,
            total_steps=max(steps, number + 1),
            prompt=self.engine.values().cpu(),
            metrics=numbers,
        )
        parts.observers.tell(Hooks.softdiv_step_end, event)

    def save_prompt(self, path: str | Path) -> str:
        """The current soft prompt as a safetensors file; returns its sha256."""
        return self.prompt.copy_of(self.engine.values().cpu()).save(Path(path))

    def save_checkpoint(self, folder: str | Path) -> None:
        """Save all :attr:`parts` under ``folder``; older ones than the newest few are removed."""
        self._checkpoints(folder).save(self.parts.progress.steps)

    def load_checkpoint(self, folder: str | Path) -> int:
        """Go on from the newest checkpoint in ``folder``, bit for bit.

        Returns:
            Steps it had finished: 0 where there is none.

        Raises:
            RunError: it is of another training, or another version of softdiv.
        """
        self.parts.resume(self._checkpoints(folder))
        return self.parts.progress.steps

    def _checkpoints(self, folder: str | Path) -> Checkpoints:
        return attrs.evolve(self.parts.checkpoints, folder=Path(folder))


def configured_loss(config: ExperimentConfig) -> Any:
    """The config's loss, built from its plugins. Raises ConfigError or PluginError."""
    made = built(plugins_of(config).registry, "losses", "training.loss", [config.training.loss])
    return next(iter(made.values()))


def configured_metrics(
    config: ExperimentConfig, metrics: DivergenceMetrics | None
) -> DivergenceMetrics:
    """``metrics``, with the config's beside it unless it brings metrics of its own.

    Raises:
        ConfigError: a metric's options are wrong.
        PluginError: a metric or plugin is missing.
    """
    if metrics is not None and metrics.metrics:
        return metrics
    registry, wanted = plugins_of(config).registry, config.evaluation.metrics
    return (metrics or DivergenceMetrics()).beside(
        built(registry, "metrics", "evaluation.metrics", wanted)
    )
