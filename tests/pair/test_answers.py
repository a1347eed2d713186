"""A model answering alone says what it says in lockstep, and only it pays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, rollout
from softdiv.pair.answers import sample_answers
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows

TEXTS = ("Hi", "How do I keep rice from turning into a lump?", "Why is that so", "Go on")
LENGTH = 12


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_same_random_numbers_give_the_rollouts_answers(
    make_pair: Callable[..., ModelPair], which: int, temperature: float
) -> None:
    pair = make_pair(scale=0.5)
    layout = Layout(pair.tokenizer)
    contexts = [layout.hard(text) for text in TEXTS]
    uniforms = uniform_rows(list(TEXTS), 5, LENGTH)
    sampling = Sampling(temperature=temperature)
    rolled = rollout(
        pair,
        contexts,
        weights=[FROM_MODEL_1 if which == 1 else FROM_MODEL_2] * len(TEXTS),
        uniforms=uniforms,
        sampling=sampling,
    )
    wrapper = pair.model_1 if which == 1 else pair.model_2
    stops = pair.stop_ids | {rolled.answer(0)[2]}  # a token that ends some rows early
    spent = pair.ledger.total
    alone = sample_answers(wrapper, contexts, uniforms=uniforms, sampling=sampling, stops=stops)
    wanted = [rolled.answer(row) for row in range(len(TEXTS))]
    cut = [
        next((answer[: n + 1] for n, token in enumerate(answer) if token in stops), answer)
        for answer in wanted
    ]
    assert alone == cut
    assert len(alone[0]) <= 3
    assert max(map(len, alone)) > 3  # another row went on after the first had ended
    decoded = sum(len(answer) - 1 for answer in alone)
    assert decoded < pair.ledger.total - spent <= decoded + len(TEXTS) * max(map(len, contexts))
