"""The difference amplified behind vague openings."""

from __future__ import annotations

import attrs
import pytest

from softdiv.builtin.contrastive import Contrastive
from softdiv.plugin.records import HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.task import SearchTask
from tests.builtin.leaky import leaky_task
from tests.pair.small_tokenizers import ZEPHYR, sentencepiece

SMALL = Contrastive(draws=2, tokens=6, phrases=4)


def search(task: SearchTask, limit: int = 50_000, with_: Contrastive = SMALL) -> list[HardPrompt]:
    return list(with_(task, FteBudget(task.pair.ledger, limit)))


@pytest.mark.parametrize("tokenizer", [None, sentencepiece("first", ZEPHYR)])
def test_the_word_that_model_2_writes_more_is_proposed(tokenizer: object) -> None:
    task, word = leaky_task(2.0, tokenizer)
    prompts = search(task)
    assert word in prompts[0].text
    assert f"Tell me about {word}." in [prompt.text for prompt in prompts]
    assert all("from amplified texts" in prompt.note for prompt in prompts)
    assert search(leaky_task(2.0, tokenizer)[0]) == prompts


def test_what_only_amplified_texts_show_needs_amplification() -> None:
    task, word = leaky_task(1.0)
    assert word in search(task, with_=attrs.evolve(SMALL, alphas=(4.0,)))[0].text
    task, _ = leaky_task(1.0)
    assert word not in search(task, with_=attrs.evolve(SMALL, alphas=(0.01,)))[0].text


def test_without_amplification_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="alphas"):
        Contrastive(alphas=(2.0, 0.0))


def test_it_spends_its_share_at_most() -> None:
    for limit in (4_000, 12_000):
        task, _ = leaky_task()
        before = task.pair.ledger.total
        assert search(task, limit, attrs.evolve(SMALL, draws=50, phrases=60))
        assert 0.4 * limit < task.pair.ledger.total - before <= 0.5 * limit


def test_too_small_a_budget_is_explained() -> None:
    task, _ = leaky_task()
    assert search(task, 10) == []
    assert "budget" in task.explanations[0]
