"""What an author's own tests of a searcher are made of."""

from __future__ import annotations

from softdiv.builtin.baselines import RandomTokens
from softdiv.testing import tiny_search


def test_a_searcher_is_called_as_in_a_run() -> None:
    task, budget = tiny_search(5000)
    assert budget.remaining == 5000 and task.best and task.soft_prompt is not None
    assert next(iter(RandomTokens()(task, budget))).text
    task.score(["I like tea."], task.texts(2), 4)
    assert budget.remaining < 5000
    again, whole = tiny_search()
    assert again is not task and whole.remaining == 20_000
