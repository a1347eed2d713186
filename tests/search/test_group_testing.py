"""The word that opens an answer is found among many, by lists."""

from __future__ import annotations

import pytest
import torch

from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import around, vocabulary_words
from softdiv.search.group_testing import (
    _cost,
    affordable_lists,
    answer_log_probs,
    group_tested,
)
from softdiv.search.task import SearchTask
from softdiv.searching import Context
from tests.builtin.planted_word import PLENTY, a_word, planted


@pytest.fixture
def task() -> SearchTask:
    return planted("self_attn.v_proj", a_word(7)[0])


def answer_to(task: SearchTask, word: int) -> tuple[int, ...]:
    """What model_2 says more when asked about the word than about others."""
    before, behind = around(task)
    ids = [i for i, _ in vocabulary_words(task)]
    rows = [Context(before=(*before, i, *behind)) for i in ids]
    logs = torch.stack(list(task.next_log_probs(task.pair.model_2, rows)))
    return (int((logs[ids.index(word)] - logs.mean(dim=0)).argmax()),)


def test_the_word_behind_an_answer_is_found(task: SearchTask) -> None:
    ids = [i for i, _ in vocabulary_words(task)]
    answer = answer_to(task, a_word(7)[0])
    budget = FteBudget(task.pair.ledger, PLENTY)
    places = group_tested(task, budget, [(i,) for i in ids], [answer], 8, 4)
    assert len(places) == 4
    assert ids[places[0]] == a_word(7)[0]


def test_its_cost_is_known_before(task: SearchTask) -> None:
    words = [(i,) for i, _ in vocabulary_words(task)]
    answers = [answer_to(task, a_word(7)[0])]
    task.pair.forget_prefixes()
    spent = task.pair.ledger.total
    group_tested(task, FteBudget(task.pair.ledger, PLENTY), words, answers, 8, 4)
    header = len(around(task)[0])
    expected = _cost(task, len(words), 8, 4, answers)
    assert expected <= task.pair.ledger.total - spent <= expected + header + 4 * 8 * 2


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
    words = [(i,) for i, _ in vocabulary_words(task)]
    budget = FteBudget(task.pair.ledger, 1)
    places = group_tested(task, budget, words, [(5,)], 8, 4)
    assert len(places) == 4
    assert group_tested(task, budget, words, [(5,)], 8, 4) == []


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
    (found,) = answer_log_probs(task, task.pair.model_2, [row], [(7, 9)])
    assert found.tolist() == pytest.approx([first, second], abs=1e-4)
