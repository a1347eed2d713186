"""Prompts changed token by token: what a gradient promises is what a swap does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.searching import (
    answered,
    bits_gradient,
    likely_swaps,
    printable_tokens,
    random_prompt,
    surprise_gains,
    surprises,
    swap_gains,
    typeable,
    vectors,
)
from tests.builtin.planted_word import task_on


@pytest.fixture(scope="module")
def task() -> Any:
    model_1, tokenizer = TinyLoader().load("cpu")
    return task_on(model_1, TinyLoader(noise=0.05).load("cpu")[0], tokenizer)


def prompt(task: Any) -> list[int]:
    ids = random_prompt(task, printable_tokens(task), 4, task.train[0], "a")
    assert ids is not None
    return ids


def test_answers_are_scored_as_the_task_scores_them(task: Any) -> None:
    ids, examples = prompt(task), task.train[:3]
    (own,) = answered(task, [ids], examples, 4, "score")
    assert own.bits == pytest.approx(task.score([task.layout.prompt_of(ids)], examples, 4)[0])
    assert len(own.responses) == len(own.slots) == 3


def test_every_prompt_meets_the_same_random_numbers(task: Any) -> None:
    ids, examples = prompt(task), task.train[:2]
    one, two = answered(task, [ids, ids], examples, 4, "same")
    assert one.responses == two.responses and one.bits == pytest.approx(two.bits)


def test_the_gradient_of_d_is_its_slope(task: Any) -> None:
    ids = prompt(task)
    (own,) = answered(task, [ids], task.train[:2], 4, "slope")
    token = torch.tensor([printable_tokens(task)[7]])
    gains = swap_gains(task.pair.model_1, bits_gradient(task, own), ids, token)
    start = vectors(task.pair.model_1, torch.tensor(ids))
    for place in range(len(ids)):
        step = torch.zeros_like(start)
        step[place] = 0.01 * (vectors(task.pair.model_1, token)[0] - start[place])
        with torch.no_grad():
            ends = [
                float(
                    task.sampler.answer_bits(own.slots, own.responses, start + sign * step).mean()
                )
                for sign in (1, -1)
            ]
        assert float(gains[place, 0]) == pytest.approx((ends[0] - ends[1]) / 0.02, abs=1e-4)


def test_the_surprise_of_another_last_token_is_exact(task: Any) -> None:
    model, before = task.pair.model_1, task.layout.soft(task.train[0]).before
    tokens = printable_tokens(task)[:9]
    for lead in (before, ()):
        ids = prompt(task)
        (start,) = surprises(task, lead, [ids])
        gains = surprise_gains(model, lead, ids, tokens)
        assert gains.shape == (4, 9)
        swapped = surprises(task, lead, [[*ids[:-1], token] for token in tokens.tolist()])
        assert gains[-1].tolist() == pytest.approx([s - start for s in swapped], abs=1e-4)


def test_a_single_token_with_nothing_before_it_surprises_nobody(task: Any) -> None:
    tokens = printable_tokens(task)[:3]
    assert surprise_gains(task.pair.model_1, (), [5], tokens).tolist() == [[0.0, 0.0, 0.0]]


def test_swaps_change_one_token_for_one_that_the_gradient_likes(task: Any) -> None:
    ids, tokens = prompt(task), printable_tokens(task)
    gains = torch.randn(4, len(tokens), generator=torch.Generator().manual_seed(0))
    swaps = likely_swaps(task, ids, gains, tokens, 40, 10, task.train[0], "a")
    assert len(swaps) == 10
    for swap in swaps:
        (place,) = [n for n in range(4) if swap[n] != ids[n]]
        rank = (gains[place] > gains[place, tokens.tolist().index(swap[place])]).sum()
        assert rank < 40
    again = likely_swaps(task, ids, gains, tokens, 40, 10, task.train[0], "a")
    assert swaps == again
    assert swaps != likely_swaps(task, ids, gains, tokens, 40, 10, task.train[0], "b")


def test_only_texts_that_encode_to_the_same_ids_again_are_kept(task: Any) -> None:
    tokenizer = task.pair.tokenizer
    whole = task.layout.encode("about")
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "about"]
    assert whole != letters
    end = tokenizer.eos_token_id
    assert typeable(task, [letters, [end], whole, whole], 9, task.train[0]) == [whole]


def test_printable_tokens_are_of_printable_ascii(task: Any) -> None:
    texts = task.pair.tokenizer.batch_decode(printable_tokens(task)[:, None])
    assert len(texts) > 90
    assert all(text.isascii() and text.isprintable() for text in texts)
    assert random_prompt(task, torch.tensor([], dtype=torch.long), 4, task.train[0], "a") is None
