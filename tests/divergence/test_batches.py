"""What a batch is charged is what its passes cost, whatever part of it was run where."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import torch

from softdiv.divergence.batches import (
    AnswerBits,
    BothAnswers,
    Likelihoods,
    NextTokens,
    OneAnswers,
    With,
)
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2
from softdiv.divergence.sampler import Sampler
from softdiv.divergence.shares import assembled
from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling
from softdiv.pair.teacher_forcing import both_states

COUNT, TOKENS = 40, 12
HARD = tuple(
    Context(before=(5, 6, 7, *(20 + (n * m) % 60 for m in range(2 + n % 9)))) for n in range(COUNT)
)
SOFT = tuple(Context(c.before[:4], c.before[4:], has_slot=True) for c in HARD)
KEYS = tuple(map(str, range(COUNT)))
ANSWERS = tuple(tuple(range(30, 31 + n % 5)) for n in range(COUNT))
SAMPLING = Sampling(temperature=1.0)
EVERY_KIND = {
    "both": BothAnswers(
        contexts=(*HARD, *HARD[:9]),
        weights=(FROM_MODEL_1,) * COUNT + (FROM_MODEL_2,) * 9,
        keys=(*KEYS, *KEYS[:9]),
        seed=0,
        tokens=TOKENS,
        sampling=SAMPLING,
    ),
    "soft": BothAnswers(
        contexts=SOFT,
        weights=(FROM_MODEL_2,) * COUNT,
        keys=KEYS,
        seed=0,
        tokens=TOKENS,
        sampling=SAMPLING,
    ),
    "one": OneAnswers(model=1, contexts=HARD, keys=KEYS, seed=0, tokens=TOKENS, sampling=SAMPLING),
    "next": NextTokens(model=0, contexts=HARD),
    "likelihoods": Likelihoods(model=0, contexts=HARD, responses=ANSWERS),
    "bits": AnswerBits(contexts=SOFT, responses=ANSWERS),
}
WINDOWS = {"cached": None, "anew": None, "window of 15": 15, "window of 6": 6}
"""How rows are decoded: from a cache, anew for every token, from one to the other."""


@pytest.fixture(params=WINDOWS)
def pair(request: pytest.FixtureRequest, make_pair: Callable[..., ModelPair]) -> ModelPair:
    made = make_pair()
    for wrapper in made.models:
        wrapper.keeps_cache = request.param != "anew"
        if window := WINDOWS[request.param]:
            wrapper.model.config.window_size = window
    return attrs.evolve(made, stop_ids=frozenset(range(0, made.report.vocab_size, 9)))


def given_for(pair: ModelPair, kind: str) -> With:
    soft = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    return With(pair=pair, soft=soft if kind in ("soft", "bits") else None)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_batch_is_charged_what_its_passes_cost(pair: ModelPair, kind: str) -> None:
    given, batch = given_for(pair, kind), EVERY_KIND[kind]
    for _ in range(2):  # the second time it finds its prefix in the cache
        before, held = pair.ledger.total, given.cached()
        columns = batch.run(given, range(len(batch.contexts)))
        assert batch.cost(given, held, columns) == pair.ledger.total - before > 0
    lengths = columns.get("lengths")
    assert lengths is None or len(lengths.unique()) > 4


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_parts_of_a_batch_give_and_keep_what_the_batch_does(pair: ModelPair, kind: str) -> None:
    given, batch = given_for(pair, kind), EVERY_KIND[kind]
    whole, kept = batch.run(given, range(len(batch.contexts))), given.cached()
    pair.forget_prefixes()
    count = len(batch.contexts)
    parts = [range(2, 30, 2), [*range(1, 30, 2), *range(30, count)], [0]]  # alone, all is prefix
    found = assembled([(p, batch.run(given, p)) for p in parts], torch.device("cpu"))
    assert given.cached() == kept
    for name, column in whole.items():
        assert torch.allclose(found[name].double(), column.double(), atol=1e-5), name


def test_a_gradient_is_charged_what_it_costs(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    sampler = Sampler(pair=pair, sampling=SAMPLING, seed=0, rows=8)
    soft = torch.randn(3, 32)
    for rows in (1 << 16, 2):
        before = pair.ledger.total
        sampler.limit.rows = rows
        pair.forget_prefixes()
        sampler.bits_gradient(SOFT, ANSWERS, soft)
        charged = pair.ledger.total - before
        pair.forget_prefixes()
        leaf = soft.clone().requires_grad_()
        both_states(pair, SOFT, ANSWERS, leaf)
        assert pair.ledger.total - before - charged == charged
