"""What the other processes of a launcher do: their part of the training, then of whatever rank 0
samples and scores; where the models are sharded, they lend it their shards."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import attrs

from softdiv.components import Prepared
from softdiv.divergence.batches import With
from softdiv.divergence.together import serve
from softdiv.errors import LostRank
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit
from softdiv.plugin.events import RunEvent
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.observers import Observers
from softdiv.ranks.group import Ranks, leave
from softdiv.stages.load import fitting, load, load_pair, load_texts
from softdiv.stages.train import nothing_to_train
from softdiv.stages.work import Work
from softdiv.training.trainer import DivergenceTrainer


def lead(ranks: Ranks, work: Work, *, trains: bool, serves: bool) -> None:
    """Rank 0 tells the others what there is to do.

    Args:
        trains: this run has a training left to do.
        serves: and something to search or to evaluate, or the models are sharded, and rank 0 will
            run them.
    """
    ranks.share({"run_dir": str(work.run.path), "train": trains, "serve": serves})
    settle = None
    if serves and work.config.training.engine.shard_models:
        lockstep = load(work).pair.lockstep  # now, because the others do
        settle = lockstep.settle if lockstep else None
    work.ranks = attrs.evolve(ranks, leads=serves and ranks.world > 1, settle=settle)


def dismiss(work: Work) -> None:
    """Rank 0 lets the others go, if they are waiting for what it asks."""
    if work.run.done("train"):
        with suppress(LostRank):  # whatever ended the run is told
            work.ranks.dismiss()


def follow(ranks: Ranks, prepared: Prepared, observers: Sequence[tuple[object, str]]) -> NoReturn:
    """Every other rank: train if rank 0 does, share its search and evaluation, then end.

    Rank 0 alone has a run folder, and runs searchers.

    Raises:
        SystemExit: 0, when this rank's part is done.
    """
    told: dict[str, Any] = ranks.share(None)
    if told["train"] or told["serve"]:
        pair = load_pair(prepared.config, prepared.registry)
        if told["train"]:
            _train(ranks, prepared, pair, observers, Path(told["run_dir"]))
        if told["serve"]:
            settle = pair.lockstep.settle if pair.lockstep else None
            given = With(pair=pair, metrics=prepared.parts.metrics.beside({}))
            limit = RowLimit(prepared.config.generation.batch_rows)
            serve(given, limit, attrs.evolve(ranks, settle=settle))
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
    if nothing_to_train(config, pair):
        return
    hub = Observers.of([*parts.observers, *observers])
    event = RunEvent(run_dir=run_dir, config=config, rank=ranks.rank)
    hub.tell(Hooks.softdiv_run_start, event)
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
        hub.tell(Hooks.softdiv_run_end, event)
