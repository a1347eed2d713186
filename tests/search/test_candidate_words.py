"""Words of a vocabulary, and the request they are tried in."""

from __future__ import annotations

from typing import Any

import torch

from softdiv.plugin.records import Example
from softdiv.search.candidate_words import (
    _once,
    around,
    asked,
    completed,
    slot_in,
    vocabulary_words,
)
from tests.builtin.planted_word import same_pair


def test_words_are_taken_once_in_small_letters() -> None:
    words = [(1, "River"), (2, "of"), (3, "river"), (4, "RIVER"), (5, "Vienna")]
    assert _once(words) == [(3, "river"), (5, "Vienna")]


def test_a_word_between_what_stands_around_it_is_the_request() -> None:
    task = same_pair()
    before, behind = around(task)
    for token, text in vocabulary_words(task)[:3]:
        assert (*before, token, *behind) == asked(task, text).before


def test_a_slot_in_a_prompt_stands_beside_the_users_text() -> None:
    task = same_pair()
    example = Example(id="x", text="What is new?")
    slot = slot_in(task, "Think of {}.", example)
    token, text = vocabulary_words(task)[0]
    whole = task.layout.hard(example, f"Think of {text}.")
    assert slot.has_slot
    assert (*slot.before, token, *slot.after) == whole.before


def test_a_word_is_completed_while_small_letters_are_likeliest(monkeypatch: Any) -> None:
    task = same_pair()
    tokens = task.pair.tokenizer
    (one, first), (two, second) = vocabulary_words(task)[:2]
    (er,) = tokens("er", add_special_tokens=False)["input_ids"]
    (dot,) = tokens(".", add_special_tokens=False)["input_ids"]
    likeliest = {(one,): er, (one, er): dot, (two,): dot}
    before, _ = around(task)
    asked = []

    def next_log_probs(model: Any, contexts: Any) -> Any:
        for context in contexts:
            asked.append(context)
            row = torch.zeros(512)
            row[likeliest[context.before[len(before) :]]] = 1
            yield row

    monkeypatch.setattr(type(task), "next_log_probs", lambda _, m, c: next_log_probs(m, c))
    whole = completed(task, before, {first: (one,), second: (two,)})
    assert whole == {f"{first}er": (one, er), second: (two,)}
    assert len(asked) == 3  # a word that has ended is not asked about again
