"""What a loop of one's own calls: step on a batch of texts, look at it, log it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.config.build import built, plugins_of
from softdiv.config.load import ExperimentConfig
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.errors import DataError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.events import TrainEvent
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import Example
from softdiv.ranks.group import Ranks
from softdiv.storage.run import RunFolder
from softdiv.training.answers import Answers
from softdiv.training.checkpoint import METRICS, Progress
from softdiv.training.engine import Engine
from softdiv.training.inspection import Batch, GeneratedExample, Inspector, as_examples
from softdiv.training.soft_prompt import DivergenceSoftPrompt


class CustomLoop:
    """The part of :class:`DivergenceTrainer` that needs no split and no run folder.

    ::

        for epoch in range(config.num_epochs):
            for batch in dataloader:
                loss = trainer.training_step(batch)
                trainer.log_metrics(trainer.compute_all_metrics(batch))
    """

    pair: ModelPair
    config: ExperimentConfig
    layout: Layout
    metrics: DivergenceMetrics
    engine: Engine
    answers: Answers
    prompt: DivergenceSoftPrompt
    progress: Progress
    observers: Observers
    run: RunFolder | None
    history: list[dict[str, float]]
    """what :meth:`log_metrics` was given, with its ``step``"""

    def training_step(self, batch: Batch) -> Tensor:
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
        examples = as_examples(batch)
        with self.pair.ledger.phase("training"):
            answers = self.answers.to(examples, self.progress.steps, self.engine.values())
        numbers = self.optimizer_step(list(zip(examples, answers, strict=True)))
        self.progress.steps += 1
        return torch.tensor(numbers["loss"])

    def optimizer_step(
        self, batch: Sequence[tuple[Example, Sequence[int]]], event: TrainEvent | None = None
    ) -> dict[str, float]:
        """One step on texts that are answered already; see :class:`DivergenceTrainer`."""
        raise NotImplementedError

    def compute_all_metrics(self, batch: Batch) -> dict[str, float]:
        """Every metric of :attr:`metrics`, on fresh answers of both models under the prompt.

        The first ``training.response_tokens`` tokens of each answer count; the same texts meet
        the same random numbers every time. A metric that failed is left out, and
        ``metrics.unavailable`` says why.

        Returns:
            Means over the texts, with ``divergence`` (JSD, bits) first.
        """
        return self._inspector().measure(as_examples(batch), self.engine.values())

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep numbers: in :attr:`history`, in the run's ``metrics.jsonl``, and for trackers.

        Args:
            step: index of the step they belong to; by default the last one taken.
        """
        number = max(self.progress.steps - 1, 0) if step is None else step
        numbers = {name: float(value) for name, value in metrics.items()}
        self.history.append({"step": number, **numbers})
        if self.run is not None:
            self.run.append(METRICS, {"step": number, **numbers})
        event = TrainEvent(
            run_dir=self.run.path if self.run else None,
            step=number,
            total_steps=max(self.progress.steps, number + 1),
            prompt=self.engine.values().cpu(),
            metrics=numbers,
        )
        self.observers.tell("step_end", event)

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
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not texts or num_examples < 1:
            raise DataError("nothing to generate", fix="give at least one text and num_examples=1")
        chosen = [texts[n % len(texts)] for n in range(num_examples)]
        return self._inspector().generate(as_examples(chosen), self.engine.values())

    def save_prompt(self, path: str | Path) -> str:
        """The current soft prompt as a safetensors file; returns its sha256."""
        current = self.prompt.copy_of(self.engine.values().cpu())
        return current.save(Path(path))

    def _inspector(self) -> Inspector:
        # alone: a loop of one's own may look at its prompt on one rank only
        sampler = attrs.evolve(self.answers.sampler, ranks=Ranks(), metrics=self.metrics)
        return Inspector(sampler=sampler, layout=self.layout, config=self.config)


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
