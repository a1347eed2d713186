"""The parts of a training, put together: the built-in loop and one's own use the same ones."""

from __future__ import annotations

from typing import Any

import attrs

from softdiv.config.load import ExperimentConfig
from softdiv.data.split import Split
from softdiv.divergence.sampler import Sampler
from softdiv.errors import TrainingError
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit
from softdiv.plugin.observers import Observers
from softdiv.ranks.group import join
from softdiv.storage.names import CHECKPOINTS
from softdiv.storage.run import RunFolder
from softdiv.training.answers import Answers
from softdiv.training.best import BestPrompt
from softdiv.training.checkpoint import Checkpoints
from softdiv.training.clock import Clock
from softdiv.training.costs import Costs
from softdiv.training.engine import Engine, make_engine
from softdiv.training.guards import Guards
from softdiv.training.journal import Journal
from softdiv.training.loss_scale import LossScale
from softdiv.training.objective import Objective
from softdiv.training.precision import check_precision, computes_in_fp16
from softdiv.training.schedule import Schedule
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.state import FieldState, Stateful
from softdiv.training.step import OptimizerStep

ENDLESS = 10**9


@attrs.define(eq=False)
class Progress(FieldState):
    """How far a training is."""

    steps: int = attrs.field(init=False, default=0)
    """Steps finished."""
    stop_reason: str | None = attrs.field(init=False, default=None)


class TrainingParts:
    """See :class:`softdiv.DivergenceTrainer` for the arguments and errors."""

    def __init__(
        self,
        pair: ModelPair,
        config: ExperimentConfig,
        loss: Any,
        split: Split,
        run: RunFolder | None,
        observers: Observers,
    ) -> None:
        training, device = config.training, pair.model_1.device
        check_precision(pair, training)
        settle = pair.lockstep.settle if pair.lockstep else None
        self.ranks = attrs.evolve(join(device.type), settle=settle)
        self.run = run if self.ranks.first else None
        self.pair, self.config, self.split, self.observers = pair, training, split, observers
        self.layout = pair.layout(training.placement)
        self.prompt = DivergenceSoftPrompt.create(pair.model_1, self.layout, training, config.seed)
        self.schedule = Schedule(split.train, training, config.seed)
        # a loop of one's own knows alone when it ends
        total = self.schedule.total_steps or training.max_steps or ENDLESS
        self.engine: Engine = make_engine(training, self.prompt, total)
        self.clock, self.progress = Clock(device), Progress()
        self.journal = Journal(self.run, self.ranks)
        limit = RowLimit(config.generation.batch_rows, told=self._note_at_step)
        sampling = {"limit": limit, "ranks": self.ranks}
        sampler = Sampler.of(pair, config.generation, config.seed, **sampling)
        self.answers = Answers(sampler, self.layout, training)
        self.step = OptimizerStep(
            objective=Objective(pair, self.layout, loss, training, self.clock),
            engine=self.engine,
            prompt=self.prompt,
            config=training,
            ranks=self.ranks,
            scale=LossScale(computes_in_fp16(pair, training)),
            guards=Guards(),
            told=self._note_at_step,
        )
        self.best = BestPrompt(training.patience)
        self.costs = Costs(pair, self.ranks)
        self.kept: dict[str, Stateful] = {
            "progress": self.progress,
            "engine": self.engine,
            "step": self.step,
            "loss_scale": self.step.scale,
            "guards": self.step.guards,
            "answers": self.answers,
            "best": self.best,
            "costs": self.costs,
            "journal": self.journal,
            "observers": observers,
        }
        """What checkpoints hold, by name; a loop of one's own may add to it. Texts and their order
        are no part of it: they follow from the seed and the number of the step."""
        folder = self.run.path / CHECKPOINTS if self.run else None
        self.checkpoints = Checkpoints(folder, self.kept, self.ranks, training.keep_checkpoints)

    def resume(self, checkpoints: Checkpoints) -> None:
        """Go on from the newest checkpoint, if there is one; lines written after it are dropped."""
        notes = checkpoints.restore()
        self.journal.cut(self.progress.steps)
        for line in notes:
            self.journal.note(line)

    def check_texts(self) -> None:
        """Raises TrainingError where there is nothing to train on or to validate with."""
        if not self.split.train or not self.split.val:
            raise TrainingError(
                "there are no texts to train on",
                fix="give split=..., or call training_step(batch) in a loop of your own",
            )

    def validate(self) -> float:
        """See :meth:`softdiv.DivergenceTrainer.validate`."""
        self.check_texts()
        examples = self.split.val[: self.config.validation_texts]
        with self.pair.ledger.phase("validation"), self.clock.part("validation"):
            return self.answers.mean_bits(examples, self.engine.values())

    def _note_at_step(self, line: str) -> None:
        self.journal.note(line.replace(":", f" at step {self.progress.steps}:", 1))
