"""One rank of two that sample together; test_together.py runs both. Rank 0 writes what it found.

Argument: the file. Rank 1 has memory for two rows, and ends without a word when rank 0 has done.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from softdiv import DivergenceMetrics
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.divergence import batches
from softdiv.divergence.batches import With
from softdiv.divergence.rollouts import FROM_MODEL_2
from softdiv.divergence.sampler import Sampler
from softdiv.divergence.together import serve
from softdiv.errors import DataError, LostRank
from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit
from softdiv.pair.sampling import Sampling
from softdiv.ranks.group import Ranks, join

CONTEXTS = [Context(before=(5, 6, *range(20, 24 + n % 7))) for n in range(11)]
KEYS = [str(n) for n in range(11)]
TOO_LONG = Context(before=tuple(range(20, 60)) * 20)


class Metrics(DivergenceMetrics):
    """One metric fails on rank 1."""

    def compute_gap(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return (one - two).abs().mean(dim=-1)

    def compute_picky(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        if os.environ["RANK"] == "1":
            raise ValueError("not here")
        return one.sum(dim=-1)


def pair() -> ModelPair:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.05).load("cpu")
    return ModelPair.of(model_1, model_2, tokenizer)


def little_memory() -> None:
    rollout = batches.rollout

    def limited(pair: ModelPair, contexts: list[Context], **more: Any) -> Any:
        if len(contexts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rollout(pair, contexts, **more)

    batches.rollout = limited


def sampled(ranks: Ranks, notes: list[str]) -> dict[str, Any]:
    """Everything a sampler does, and its ledger."""
    own, soft = pair(), torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    metrics = Metrics()
    sampler = Sampler(
        pair=own,
        sampling=Sampling(temperature=1.0),
        seed=0,
        rows=8,
        limit=RowLimit(told=notes.append),
        ranks=ranks,
        metrics=metrics,
    )
    answers = [[30 + n, 31, 32][: 1 + n % 3] for n in range(11)]
    slots = [Context(c.before[:2], c.before[2:], has_slot=True) for c in CONTEXTS]
    rolled = sampler.rollouts(slots, [FROM_MODEL_2] * 11, KEYS, 7, soft)
    both = sampler.both(CONTEXTS, (KEYS, KEYS), 6)
    try:
        sampler.rollouts([*CONTEXTS, TOO_LONG], [FROM_MODEL_2] * 12, [*KEYS, "long"], 7)
        failed = ""
    except DataError as error:
        failed = str(error)
    return {
        "rollouts": [rolled.ids.tolist(), rolled.bits.tolist()],
        "both": [both.ids.tolist(), both.ratio.tolist(), both.extra["gap"].tolist()],
        "extra": sorted(both.extra),
        "unavailable": metrics.unavailable,
        "failed": failed,
        "alone": sampler.answers(own.model_2, CONTEXTS, KEYS, 9, 8),
        "next": [row.tolist() for row in sampler.next_log_probs(own.model_1, CONTEXTS)],
        "given": [row.tolist() for row in sampler.log_likelihoods(own.model_2, CONTEXTS, answers)],
        "bits": sampler.answer_bits(slots, answers, soft).tolist(),
        "gradient": sampler.bits_gradient(slots, answers, soft).tolist(),
        "ledger": own.ledger.by_phase,
        "prefixes": [model.cached_prefix for model in own.models],
    }


def main(file: Path) -> None:
    torch.set_num_threads(1)
    ranks = join("cpu")
    if not ranks.first:
        little_memory()
        serve(With(pair=pair(), metrics=Metrics()), RowLimit(), ranks)
        os._exit(3)  # as if it were killed
    ranks.leads, notes = True, list[str]()
    found = {"together": sampled(ranks, notes), "one": sampled(Ranks(), [])}
    ranks.dismiss()
    try:
        ranks.ask({}, {})
        lost = ""
    except LostRank as error:
        lost = str(error)
    file.write_text(json.dumps({**found, "notes": notes, "lost": lost}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
