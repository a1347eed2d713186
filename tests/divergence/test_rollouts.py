"""Lockstep decoding: its values are those of teacher forcing, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import torch

from softdiv.divergence import kernels
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, amplified, rollout
from softdiv.pair.answers import sample_answers
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.teacher_forcing import both_states

TEXTS = ("Hi", "How do I keep rice from turning into a lump when I cook it?", "Why is that so")
LENGTH = 9


def run(
    pair: ModelPair,
    rows: tuple[int, ...] = (0, 1, 2),
    *,
    weights: tuple[float, float] = FROM_MODEL_2,
    soft: torch.Tensor | None = None,
    temperature: float = 1.0,
) -> Rollouts:
    layout = Layout(pair.tokenizer)
    texts = [TEXTS[row] for row in rows]
    return rollout(
        pair,
        [layout.hard(t) if soft is None else layout.soft(t) for t in texts],
        weights=[weights] * len(rows),
        uniforms=uniform_rows(texts, 0, LENGTH),
        sampling=Sampling(temperature=temperature),
        soft=soft,
        row_metrics=lambda r: {"kl": kernels.kl(r.log_probs_1, r.log_probs_2)},
    )


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("with_soft", [False, True])
def test_values_are_those_of_teacher_forcing(
    make_pair: Callable[..., ModelPair], architecture: str, with_soft: bool
) -> None:
    pair = make_pair(architecture=architecture)
    soft = torch.randn(3, 32, generator=torch.Generator().manual_seed(1)) if with_soft else None
    rolled = run(pair, soft=soft)
    layout = Layout(pair.tokenizer)
    contexts = [layout.soft(t) if with_soft else layout.hard(t) for t in TEXTS]
    answers = [rolled.answer(row) for row in range(3)]
    with torch.no_grad():
        states = both_states(pair, contexts, answers, soft)
        log_1, log_2 = pair.model_1.log_probs(states[0]), pair.model_2.log_probs(states[1])
    tokens = torch.tensor([token for answer in answers for token in answer])
    flat = {
        "bits": kernels.jsd(log_1, log_2),
        "ratio": kernels.log_likelihood_ratio(log_1, log_2, tokens),
        "kl": kernels.kl(log_1, log_2),
    }
    sizes = [len(answer) for answer in answers]
    for name, values in flat.items():
        column = rolled.extra["kl"] if name == "kl" else getattr(rolled, name)
        for row, part in enumerate(values.split(sizes)):
            assert torch.allclose(column[row, : len(part)], part, atol=1e-4)
    means = [float(part.mean()) for part in flat["bits"].split(sizes)]
    assert rolled.mean_bits().tolist() == pytest.approx(means, abs=1e-4)
    assert rolled.mean_bits().min() > 0
    sums = [float(part.sum()) for part in flat["ratio"].split(sizes)]
    assert rolled.summed_ratio().tolist() == pytest.approx(sums, abs=1e-3)
    firsts = [float(part[:2].mean()) for part in flat["bits"].split(sizes)]
    assert rolled.mean_bits(first=2).tolist() == pytest.approx(firsts, abs=1e-4)


def test_an_answer_does_not_depend_on_its_batch(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    together = run(pair)
    for row in range(3):
        alone = run(pair, (row,))
        assert alone.answer(0) == together.answer(row)
        assert float(alone.mean_bits()[0]) == pytest.approx(
            float(together.mean_bits()[row]), abs=1e-4
        )
    pair_of_two = run(pair, (2, 0))
    assert pair_of_two.answer(0) == together.answer(2)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_a_model_and_itself_are_exactly_zero_apart(
    make_pair: Callable[..., ModelPair], architecture: str
) -> None:
    pair = make_pair(noise=0.0, architecture=architecture)
    assert pair.report.identical
    for weights in (FROM_MODEL_1, FROM_MODEL_2, amplified(2.0)):
        rolled = run(pair, weights=weights)
        assert rolled.bits.abs().max().item() == 0.0
        assert rolled.ratio.abs().max().item() == 0.0
        assert torch.equal(rolled.best_1, rolled.best_2)


def test_the_chosen_model_speaks(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair(noise=0.3)
    for weights, name in ((FROM_MODEL_1, "best_1"), (FROM_MODEL_2, "best_2")):
        rolled = run(pair, weights=weights, temperature=0)
        assert torch.equal(rolled.ids, getattr(rolled, name))
    amplified_ids = run(pair, weights=amplified(3.0), temperature=0)
    assert amplified_ids.summed_ratio().sum() > run(pair, temperature=0).summed_ratio().sum()


def test_an_answer_ends_at_a_stop_token_and_counts_it(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    free = run(pair)
    stop = free.answer(1)[3]
    ended = run(attrs.evolve(pair, stop_ids=frozenset({stop})))
    first = free.answer(1).index(stop)
    assert ended.answer(1) == free.answer(1)[: first + 1]
    assert int(ended.lengths[1]) == first + 1
    assert ended.bits[1, first + 1 :].abs().sum() == 0
    assert ended.ids[1, first + 1 :].sum() == 0


def test_the_ledger_counts_context_once_and_each_step_for_both(
    make_pair: Callable[..., ModelPair],
) -> None:
    pair = attrs.evolve(make_pair(), stop_ids=frozenset())
    before = pair.ledger.total
    run(pair, (1,))
    context = len(Layout(pair.tokenizer).hard(TEXTS[1]))
    assert pair.ledger.total - before == 2 * (context + LENGTH - 1)


def test_no_gradient_is_kept(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    soft = torch.nn.Parameter(torch.randn(3, 32))
    assert not run(pair, soft=soft).bits.requires_grad


def test_an_answer_ends_where_the_models_positions_do(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair(architecture="gpt2")  # a table of positions: one more is an IndexError
    layout = Layout(pair.tokenizer)
    contexts = [layout.hard("so " * 150), layout.hard("Hi")]
    room = 512 + 1 - len(contexts[0])
    assert 0 < room < 300
    uniforms = uniform_rows(["a", "b"], 0, 400)
    found = rollout(
        pair, contexts, weights=[FROM_MODEL_1] * 2, uniforms=uniforms, sampling=Sampling()
    )
    assert int(found.lengths.max()) == room
    alone = sample_answers(
        pair.model_1, contexts, uniforms=uniforms, sampling=Sampling(), stops=pair.stop_ids
    )
    assert max(map(len, alone)) == room
