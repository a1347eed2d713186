"""Forms are ordered by what the models answer, and as many are tried as the budget pays for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from softdiv.builtin.forms import FORMS, Forms
from softdiv.pair.layout import Context
from softdiv.search.task import SearchTask
from tests.builtin.planted_word import same_pair, search


def test_the_form_at_which_the_models_differ_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    task = same_pair()

    def first_bits(self: Any, contexts: Sequence[Context]) -> list[float]:
        texts = [task.layout.decode(list(context.before)) for context in contexts]
        return [0.9 if "|" in text.split("user")[-1] else 0.1 for text in texts]

    monkeypatch.setattr(SearchTask, "first_bits", first_bits)
    prompts = search(Forms(texts=2), task)
    assert prompts[0].text == "| bread | milk |"
    assert len(prompts) > len(FORMS) // 2


def test_a_small_budget_tries_the_first_ones() -> None:
    task = same_pair()
    assert 0 < len(search(Forms(), task, 1000)) < 20
    assert task.pair.ledger.total < 1300
    assert search(Forms(), task, 5) == []
    assert "pays for no form" in task.explanations[0]
