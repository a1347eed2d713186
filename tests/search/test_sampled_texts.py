"""Texts sampled outside a chat: what they cost, how much likelier model_2 finds them."""

from __future__ import annotations

import attrs
import pytest
import torch

from softdiv.pair.layout import Context, Layout
from softdiv.pair.sampling import Sampling
from softdiv.search.budget import FteBudget
from softdiv.search.sampled_texts import SampledText, _behind, sample_texts
from softdiv.search.task import SearchTask
from softdiv.testing.search_task import make_task
from tests.pair.small_tokenizers import LLAMA_2, sentencepiece

TOKENS = 5


def sample(
    task: SearchTask, contexts: list[Context], limit: int = 10**9, share: float = 1.0
) -> list[SampledText]:
    return sample_texts(
        task,
        FteBudget(task.pair.ledger, limit),
        contexts,
        [(0.0, 1.0)] * len(contexts),
        [f"key:{n}" for n in range(len(contexts))],
        tokens=TOKENS,
        share=share,
        sampling=Sampling(temperature=1.0),
    )


def openings(task: SearchTask, count: int) -> list[Context]:
    words = ("boats", "bread and tea", "the", "old maps", "snow", "a garden in the")
    return [task.layout.plain(words[n % len(words)]) for n in range(count)]


def test_the_gap_is_that_of_both_models_own_likelihoods() -> None:
    task = make_task()
    contexts = openings(task, 4)
    keys, plain = [f"key:{n}" for n in range(4)], Sampling(temperature=1.0)
    (rows,) = task.sample(contexts, [(0.0, 1.0)] * 4, keys, TOKENS, sampling=plain)
    found = sample(task, contexts)
    assert len({round(one.gap, 6) for one in found}) == 4
    for row, one in enumerate(found):
        answer = rows.answer(row)
        ids = torch.tensor([[*contexts[row].before, *answer]])
        means = []
        for wrapper in (task.pair.model_1, task.pair.model_2):
            logs = torch.log_softmax(wrapper.model(ids).logits[0].float(), dim=-1)
            places = range(len(contexts[row]) - 1, ids.shape[1] - 1)
            means.append(sum(float(logs[p, ids[0, p + 1]]) for p in places) / len(answer))
        assert one.gap == pytest.approx(means[1] - means[0], abs=1e-4)


@pytest.mark.parametrize("limit", [0, 60, 400, 3000])
def test_no_more_is_spent_than_the_share(limit: int) -> None:
    task = make_task()
    task.config = attrs.evolve(task.config, batch_rows=8)
    contexts = openings(task, 60)
    before = task.pair.ledger.total
    found = sample(task, contexts, limit=2 * limit, share=0.5)
    spent = task.pair.ledger.total - before
    assert spent <= limit
    assert len(found) == 60 or spent > limit - 2 * (TOKENS + max(map(len, contexts)))
    whole = sample(task, contexts)[: len(found)]  # whatever shares their batch
    assert [one.text for one in found] == [one.text for one in whole]


def test_a_model_that_keeps_no_cache_is_given_fewer_texts() -> None:
    task = make_task()
    task.pair.model_2.keeps_cache = False
    before = task.pair.ledger.total
    found = sample(task, openings(task, 60), limit=2000)
    assert 0 < len(found) < 60
    assert task.pair.ledger.total - before <= 2000


def test_what_a_context_has_begun_is_no_word_of_the_text() -> None:
    layout = make_task().layout
    told = layout.template.tokens("ing rivers flow")
    assert _behind(layout, layout.plain("We were cook"), told) == " rivers flow"
    assert _behind(layout, layout.plain("We were."), told) == "ing rivers flow"


def test_the_space_before_a_sentencepiece_word_is_kept() -> None:
    where = Layout(sentencepiece("legacy", LLAMA_2))
    told = where.tokenizer("rivers flow", add_special_tokens=False)["input_ids"]
    assert _behind(where, where.plain("We like"), told) == " rivers flow"


def test_a_text_that_the_models_end_is_whole_and_others_are_cut() -> None:
    task = make_task()
    contexts = openings(task, 3)
    for stops, ended in ((frozenset(range(512)), True), (frozenset(), False)):
        task.pair = attrs.evolve(task.pair, stop_ids=stops)
        assert [one.ended for one in sample(task, contexts)] == [ended] * 3
