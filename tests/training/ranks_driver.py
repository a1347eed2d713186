"""One rank of a training whose observers differ by rank; test_rank_observers.py runs two of them.

Argument: where the ranks write ``RANK.json``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from conftest import short_split
from tiny_training import config, tiny_pair

from softdiv import hookimpl
from softdiv.builtin.losses import JsdLoss
from softdiv.plugin.events import TrainEvent
from softdiv.plugin.observers import Observers
from softdiv.ranks.group import leave
from softdiv.training.trainer import DivergenceTrainer

LAST = 3


class Meddler:
    """Halves the gradient on rank 0 and multiplies it by 1000 elsewhere; the last rank stops."""

    def __init__(self) -> None:
        self.last = int(os.environ["WORLD_SIZE"]) - 1
        self.heard: list[str] = []

    @hookimpl
    def softdiv_gradient_ready(self, event: TrainEvent) -> None:
        event.scale_gradient(1000.0 if event.rank else 0.5)

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        self.heard.append(f"step {event.step}")
        if event.rank == self.last and event.step == LAST:
            event.stop("the last rank has seen enough")

    @hookimpl
    def softdiv_train_end(self, event: TrainEvent) -> None:
        self.heard.append(f"end: {event.stop_reason}")


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    meddler = Meddler()
    cfg = config(optimizer="sgd", learning_rate=1.0, gradient_clip=0.0, max_steps=20)
    trainer = DivergenceTrainer(
        tiny_pair(),
        cfg,
        JsdLoss(),
        short_split(),
        observers=Observers.of([(meddler, "'meddler'")]),
    )
    result = trainer.train()
    found = {
        "prompt": trainer.engine.values().tolist(),
        "reason": result.stop_reason,
        "steps": result.steps,
        "heard": meddler.heard,
    }
    (folder / f"{trainer.parts.ranks.rank}.json").write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
