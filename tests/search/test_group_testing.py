"""The word that opens an answer is found among many, by lists."""

from __future__ import annotations

import pytest
import torch

from softdiv.pair.vocabulary import Word
from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import around, vocabulary_words
from softdiv.search.group_testing import (
    _cost,
    affordable_lists,
    group_tested,
)
from softdiv.search.task import SearchTask
from softdiv.searching import Context
from tests.builtin.planted_word import PLENTY, a_word, planted


@pytest.fixture
def task() -> SearchTask:
    return planted("self_attn.v_proj", a_word(7)[0])


def plenty(task: SearchTask) -> FteBudget:
    return FteBudget(task.pair.ledger, PLENTY)


def all_words(task: SearchTask) -> dict[str, Word]:
    return {text: (token,) for token, text in vocabulary_words(task)}


def answer_to(task: SearchTask, word: Word) -> tuple[int, ...]:
    """What model_2 says more when asked about the word than about others."""
    before, behind = around(task)
    words = list(all_words(task).values())
    rows = [Context(before=(*before, *ids, *behind)) for ids in words]
    logs = torch.stack(list(task.next_log_probs(task.pair.model_2, rows)))
    return (int((logs[words.index(word)] - logs.mean(dim=0)).argmax()),)


def test_the_word_behind_an_answer_is_found(task: SearchTask) -> None:
    word, text = a_word(7)
    answer = answer_to(task, word)
    found = group_tested(task, plenty(task), all_words(task), [answer], 8, 4)
    assert len(found) == 4
    assert next(iter(found.items())) == (text, word)


def test_its_cost_is_known_before(task: SearchTask) -> None:
    words = all_words(task)
    answers = [answer_to(task, a_word(7)[0])]
    task.pair.forget_prefixes()
    spent = task.pair.ledger.total
    group_tested(task, plenty(task), words, answers, 8, 4)
    spent = task.pair.ledger.total - spent
    expected = _cost(task, len(words), 8, 4, answers)
    assert 0.8 * expected < spent <= expected + len(around(task)[0])


def test_the_budget_pays_for_short_lists_or_for_fewer_words(task: SearchTask) -> None:
    answers = [(5, 6)]
    assert affordable_lists(task, PLENTY, 4000, 32, 48, answers) == (4000, 4)
    for limit in (3_000, 10_000, 30_000):
        count, size = affordable_lists(task, limit, 40_000, 32, 48, answers)
        assert size == 32
        assert 0.8 * limit < _cost(task, count, size, 48, answers) <= 1.02 * limit
    between = _cost(task, 4000, 16, 48, answers)
    assert affordable_lists(task, between, 4000, 32, 48, answers) == (4000, 16)
    assert affordable_lists(task, 10, 40_000, 32, 48, answers)[0] == 0


def test_what_was_tested_is_ranked_when_the_budget_ends(task: SearchTask) -> None:
    budget = FteBudget(task.pair.ledger, 1)
    assert len(group_tested(task, budget, all_words(task), [(5,)], 8, 4)) == 4
    assert group_tested(task, budget, all_words(task), [(5,)], 8, 4) == {}


def test_answers_are_scored_as_the_model_gives_them(task: SearchTask) -> None:
    before, behind = around(task)
    row = Context(before=(*before, 300, *behind))
    longer = Context(before=(*row.before, 7))
    first, second = (
        float(logs[token])
        for logs, token in zip(
            task.next_log_probs(task.pair.model_2, [row, longer]), (7, 9), strict=True
        )
    )
    (found,) = task.sampler.log_likelihoods(task.pair.model_2, [row], [(7, 9)])
    assert found.tolist() == pytest.approx([first, second], abs=1e-4)
