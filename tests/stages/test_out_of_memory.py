"""Memory that is too small, in a search, a baseline or the evaluation, changes no result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import differences, figures_of, tiny_run

from softdiv.pair.wrapper import ModelWrapper
from softdiv.storage.atomic import read_json

RECORDED = Path(__file__).with_name("figures.json")
FIT = 2
"""Rows for whose pass there is memory."""
LONGER = 0.02
"""Share of a cost. Some processors (AVX2 alone) round otherwise in other batches, and of two
candidates that are as good a search may look at the other: another way to the same prompts."""


@pytest.fixture(params=["search", "baseline gcg", "evaluation", "resampling"])
def phase(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An allocator that gives no more than :data:`FIT` rows in one phase of the run."""
    hidden = ModelWrapper.hidden

    def limited(self: ModelWrapper, embeds: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if self.ledger._phases[-1] == request.param and len(embeds) > FIT:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return hidden(self, embeds, *args, **kwargs)

    monkeypatch.setattr(ModelWrapper, "hidden", limited)
    return str(request.param)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_out_of_memory_halves_the_rows_and_changes_nothing(phase: str, tmp_path: Path) -> None:
    found = figures_of(tiny_run(tmp_path / "run"))
    assert not list(differences(found, read_json(RECORDED), cost=LONGER))
    stages = read_json(tmp_path / "run" / "manifest.json")["stages"]
    told = [note for stage in stages.values() for note in stage["notes"] if "memory" in note]
    stage = "generate" if phase in ("search", "baseline gcg") else "evaluate"
    assert told and told == [n for n in stages[stage]["notes"] if "memory" in n]
    assert f"out of memory: {FIT} row(s) at a time from here on" in told
