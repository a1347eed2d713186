"""Saving a training so that it goes on bit for bit, and finding what was saved."""

from __future__ import annotations

from collections import Counter

import attrs
import torch
from torch import Tensor

from softdiv.errors import RunError
from softdiv.pair.ledger import Ledger
from softdiv.pair.manager import ModelPair
from softdiv.ranks.group import Ranks
from softdiv.storage import atomic
from softdiv.storage.folder import remove
from softdiv.storage.run import RunFolder
from softdiv.training import checkpoint
from softdiv.training.checkpoint import CHECKPOINTS, METRICS, MetricsSoFar, Progress, Saved
from softdiv.training.engine import Engine, EngineState

TIMINGS = "timings.jsonl"
"""Seconds, shares and memory per step: never the same twice, so kept apart."""


@attrs.define(eq=False)
class Continuation:
    """Rank 0 writes and reads; the others give their part and get rank 0's answer."""

    pair: ModelPair
    engine: Engine
    ranks: Ranks
    run: RunFolder | None
    """None keeps nothing, as on every rank but 0."""
    saved_at: int | None = attrs.field(init=False, default=None)
    """Steps finished at the newest checkpoint."""

    def save(self, progress: Progress, keep: int) -> None:
        """Write a checkpoint of all ranks."""
        pool_ledger(self.pair.ledger, self.ranks)
        progress.fte_by_phase = dict(self.pair.ledger.by_phase)
        progress.prefixes = [list(w.cached_prefix) for w in (self.pair.model_1, self.pair.model_2)]
        progress.world, progress.threads = self.ranks.world, torch.get_num_threads()
        state = self.engine.state()
        if self.run is not None:
            checkpoint.save(self.run.path / CHECKPOINTS, progress, state, keep)
        self.saved_at = progress.steps

    def restore(self) -> Progress | None:
        """Load the newest checkpoint into engine, ledger and caches; None without one.

        Lines of ``metrics.jsonl`` and ``timings.jsonl`` after it are dropped: those steps are
        taken again.
        """
        found = checkpoint.latest(self.run.path / CHECKPOINTS) if self.run is not None else None
        table = self.ranks.share(_plain(found))
        lost = self.ranks.share(self._cut_lines(found))
        if table is None:
            return None
        tensors = _tensors(found)
        tensors = self.ranks.share_tensors(tensors)
        progress = checkpoint.from_plain(table["progress"], tensors)
        self.engine.load(EngineState(tensors, table["engine_steps"]))
        for wrapper, prefix in zip(
            (self.pair.model_1, self.pair.model_2), progress.prefixes, strict=True
        ):
            if prefix:
                wrapper.prefix_cache(prefix, 1)
        self.pair.ledger.by_phase.clear()
        if self.ranks.first:
            self.pair.ledger.by_phase.update(progress.fte_by_phase)
        progress.notes += [*lost, *self._changes(progress)]
        self.saved_at = progress.steps
        return progress

    def _changes(self, progress: Progress) -> list[str]:
        """What makes the continued run differ from an uninterrupted one in rounding."""
        pairs = (
            ("rank(s)", progress.world, self.ranks.world),
            ("thread(s)", progress.threads, torch.get_num_threads()),
        )
        return [
            f"training continued at step {progress.steps} on {now} {what} instead of {before}: "
            "results agree to rounding, not bit for bit"
            for what, before, now in pairs
            if before != now
        ]

    def _cut_lines(self, found: Saved | None) -> list[str]:
        """Drop the lines of steps that are taken again, and lines that are not as they were.

        Returns:
            A note where lines of earlier steps are lost.
        """
        notes: list[str] = []
        if self.run is None:
            return notes
        steps = found.progress.steps if found else 0
        kept = found.metrics if found else MetricsSoFar.none()
        path = self.run.path / METRICS
        if kept.begins(path):
            if path.exists() and path.stat().st_size > kept.bytes:
                atomic.write_bytes(path, atomic.read_bytes(path)[: kept.bytes])
        elif path.exists():
            remove(path)
            notes.append(f"{METRICS} has changed since step {steps}: its lines are left out")
        else:
            notes.append(f"{METRICS} is missing since step {steps}")
        self._cut_timings(steps)
        return notes

    def _cut_timings(self, steps: int) -> None:
        """No result rests on these: a damaged file starts anew."""
        assert self.run is not None
        path = self.run.path / TIMINGS
        try:
            lines = atomic.read_json_lines(path)
            kept = [line for line in lines if line["step"] < steps]
        except (RunError, TypeError, KeyError):
            remove(path)
            return
        if len(kept) < len(lines):
            self.run.write_json_lines(TIMINGS, kept)


def pool_ledger(ledger: Ledger, ranks: Ranks) -> None:
    """Move what all ranks have spent to rank 0's ledger."""
    if ranks.world == 1:
        return
    spent: Counter[str] = Counter()
    for part in ranks.gather(ledger.by_phase):
        spent.update(part)
    ledger.by_phase.clear()
    if ranks.first:
        ledger.by_phase.update(spent)


def _plain(found: Saved | None) -> dict[str, object] | None:
    if found is None:
        return None
    plain = checkpoint.to_plain(found.progress)
    return {"progress": plain, "engine_steps": found.engine.steps}


def _tensors(found: Saved | None) -> dict[str, Tensor]:
    if found is None:
        return {}
    return {**found.engine.tensors, **checkpoint.tensors_of(found.progress)}
