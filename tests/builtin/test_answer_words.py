"""Words of the models' own answers, within what a budget pays for."""

from __future__ import annotations

import pytest

from softdiv.builtin.answer_words import Amplified
from softdiv.search.budget import FteBudget
from softdiv.search.cost import usual_row
from tests.builtin.planted_word import same_pair, search

SEARCH = Amplified(words=2, user_turns=1, answer_tokens=4)


@pytest.mark.parametrize("texts", [2, 3, 8])
def test_as_many_texts_are_answered_as_the_budget_pays_for(texts: int) -> None:
    task = same_pair()
    limit = (usual_row(task) + SEARCH.answer_tokens) * (2 + 6 * texts)
    before = task.pair.ledger.total
    search(SEARCH, task, limit)
    assert limit / 4 < task.pair.ledger.total - before <= limit
    assert not task.explanations


def test_a_budget_for_no_two_texts_is_left_to_others() -> None:
    task = same_pair()
    budget = FteBudget(task.pair.ledger, (usual_row(task) + SEARCH.answer_tokens) * 13)
    assert list(SEARCH(task, budget)) == [] and budget.spent == 0
    assert "fewer than 2 answers" in task.explanations[0]
