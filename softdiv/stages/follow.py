"""What the other processes of a launcher do: their part of the training, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from softdiv.components import Prepared
from softdiv.pair.manager import ModelPairManager
from softdiv.plugin.events import RunEvent
from softdiv.plugin.observers import Observers
from softdiv.stages.load import load_texts
from softdiv.stages.work import Work
from softdiv.training.ranks import Ranks, leave
from softdiv.training.trainer import DivergenceTrainer


def lead(ranks: Ranks, work: Work, *, trains: bool) -> None:
    """Rank 0 tells the others what there is to do."""
    ranks.share({"run_dir": str(work.run.path), "train": trains})


def follow(ranks: Ranks, prepared: Prepared, observers: Sequence[tuple[object, str]]) -> NoReturn:
    """Every other rank: train if rank 0 does, then end the process.

    Rank 0 alone has a run folder; it searches and evaluates on its own.

    Raises:
        SystemExit: 0, when this rank's part is done.
    """
    told: dict[str, Any] = ranks.share(None)
    if told["train"]:
        hub = Observers.of([*prepared.parts.observers, *observers])
        event = RunEvent(run_dir=Path(told["run_dir"]), config=prepared.config, rank=ranks.rank)
        hub.tell("run_start", event)
        try:
            _train(prepared, hub)
        except BaseException as error:
            event.error = error
            raise
        finally:
            hub.tell("run_end", event)
    leave()
    raise SystemExit(0)


def _train(prepared: Prepared, observers: Observers) -> None:
    config = prepared.config
    split = load_texts(prepared.parts, config.data, lambda note: None)  # rank 0 keeps the notes
    pair = ModelPairManager(config.pair, prepared.registry, config.device).load()
    trainer = DivergenceTrainer(pair, config, prepared.parts.loss, split, observers=observers)
    trainer.train()
