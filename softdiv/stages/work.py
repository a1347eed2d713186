"""A run folder being worked on: what every stage needs, and how a stage is marked finished."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.data.split import Split
from softdiv.divergence.text_pair import TextLayout, TextPair
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.observers import Observers
from softdiv.plugin.registry import Registry
from softdiv.ranks.group import Ranks
from softdiv.storage.names import LEFTOVERS, STAGES, through
from softdiv.storage.run import RunFolder
from softdiv.training.trainer import DivergenceTrainer


@attrs.frozen
class LoadedPair:
    """What the stages that run models share; loaded once, by the first of them."""

    split: Split
    pair: ModelPair
    layout: Layout


@attrs.frozen
class LoadedText:
    """The same for a pair that is compared by text."""

    split: Split
    pair: TextPair
    layout: TextLayout


@attrs.define
class Stage:
    """A stage under way."""

    files: dict[str, str] = attrs.field(factory=dict)
    """what it wrote: name -> sha256"""
    notes: list[str] = attrs.field(factory=list)
    """what was left out or failed, one line each, for the report"""


@attrs.define(eq=False, kw_only=True)
class Work:
    """One run folder, its configuration, and the components built from it."""

    run: RunFolder
    config: ExperimentConfig
    parts: Components
    registry: Registry
    observers: Observers
    plugin_files: Sequence[Path] = ()
    ranks: Ranks = attrs.field(factory=Ranks)
    """Who shares the search and the evaluation."""
    changed: tuple[str, ...] = attrs.field(init=False, default=())
    """Plugins that are not what they were when the run began, one line each."""
    loaded: LoadedPair | LoadedText | None = attrs.field(init=False, default=None)
    trainer: DivergenceTrainer | None = attrs.field(init=False, default=None)
    _failures_told: int = attrs.field(init=False, default=0)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Run a stage; it is marked finished only when the block ends without an error."""
        pair = self.loaded.pair if self.loaded else None
        stage, start = Stage(), time.perf_counter()
        yield stage
        failures = self.observers.failures[self._failures_told :]
        self._failures_told += len(failures)
        facts: dict[str, Any] = {
            "seconds": round(time.perf_counter() - start, 2),
            "notes": [*stage.notes, *failures],
        }
        if pair is not None:
            facts["ledger"] = dict(pair.ledger.by_phase)
        self.run.complete(name, stage.files, **facts)

    def forget(self, first: str) -> None:
        """Drop the results of a stage and of every later one, which were made from them."""
        for stage in STAGES[STAGES.index(first) :]:
            self.run.forget(stage, LEFTOVERS.get(stage, ()))

    def seconds(self) -> dict[str, float]:
        """Wall-clock by finished stage."""
        stages = self.run.manifest["stages"]
        return {name: stages[name]["seconds"] for name in through(STAGES[-1]) if name in stages}

    def notes(self, *stages: str) -> list[str]:
        """What the given stages left out or saw fail."""
        known = self.run.manifest["stages"]
        return [note for name in stages for note in known.get(name, {}).get("notes", ())]
