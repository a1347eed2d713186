"""What the other processes of a launcher do: their part of the training, and where the models are
sharded they lend their shards to whatever rank 0 does afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from softdiv.components import Prepared
from softdiv.pair.manager import ModelPair
from softdiv.plugin.events import RunEvent
from softdiv.plugin.observers import Observers
from softdiv.ranks.group import Ranks, leave
from softdiv.stages.load import fitting, load, load_pair, load_texts
from softdiv.stages.work import Work
from softdiv.training.trainer import DivergenceTrainer


def lead(ranks: Ranks, work: Work, *, trains: bool, serves: bool) -> None:
    """Rank 0 tells the others what there is to do.

    Args:
        trains: this run has a training left to do.
        serves: the models are sharded, and rank 0 will run them after the training too.
    """
    ranks.share({"run_dir": str(work.run.path), "train": trains, "serve": serves})
    if serves:
        load(work)  # now, because the others do


def dismiss(work: Work) -> None:
    """Rank 0 lets the others go, if they are waiting with their shards."""
    lockstep = work.loaded.pair.lockstep if work.loaded else None
    if lockstep is not None and work.run.done("train"):
        lockstep.dismiss()


def follow(ranks: Ranks, prepared: Prepared, observers: Sequence[tuple[object, str]]) -> NoReturn:
    """Every other rank: train if rank 0 does, then end the process.

    Rank 0 alone has a run folder; it searches and evaluates on its own.

    Raises:
        SystemExit: 0, when this rank's part is done.
    """
    told: dict[str, Any] = ranks.share(None)
    if told["train"] or told["serve"]:
        pair = load_pair(prepared.config, prepared.registry)
        if told["train"]:
            _train(ranks, prepared, pair, observers, Path(told["run_dir"]))
        if told["serve"] and pair.lockstep is not None:
            with ranks.together():
                pair.lockstep.serve()
    leave()
    raise SystemExit(0)


def _train(
    ranks: Ranks,
    prepared: Prepared,
    pair: ModelPair,
    observers: Sequence[tuple[object, str]],
    run_dir: Path,
) -> None:
    config, parts = prepared.config, prepared.parts
    hub = Observers.of([*parts.observers, *observers])
    event = RunEvent(run_dir=run_dir, config=config, rank=ranks.rank)
    hub.tell("run_start", event)
    try:
        texts = load_texts(parts, config.data, lambda note: None)  # rank 0 keeps the notes
        split = fitting(texts, pair, config, parts, lambda note: None).split
        trainer = DivergenceTrainer(
            pair, config, parts.loss, split, observers=hub, metrics=parts.metrics
        )
        trainer.train()
    except BaseException as error:
        event.error = error
        raise
    finally:
        hub.tell("run_end", event)
