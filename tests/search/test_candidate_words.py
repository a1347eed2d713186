"""Words of a vocabulary, which are looked at, which stand out, and how they are tried."""

from __future__ import annotations

from typing import Any

import torch

from softdiv.plugin.records import Example
from softdiv.search import candidate_words
from softdiv.search.candidate_words import (
    around,
    asked,
    begun_words,
    completed,
    slot_in,
    standing_out,
    suspectable,
    vocabulary_words,
)
from tests.builtin.planted_word import same_pair


def test_words_are_taken_once_in_small_letters(monkeypatch: Any) -> None:
    words = {1: "River", 2: "of", 3: "river", 4: "RIVER", 5: "Vienna"}
    monkeypatch.setattr(candidate_words, "_beginnings", lambda task: words)
    assert vocabulary_words(same_pair()) == [(3, "river"), (5, "Vienna")]


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


def test_words_begun_by_a_letter_or_two_are_those_that_model_1_finds_likely() -> None:
    task = same_pair()
    before = task.pair.ledger.total
    found = begun_words(task, 40)
    assert 0 < len(found) <= 40 and task.pair.ledger.total > before
    firsts = [task.pair.tokenizer.decode([ids[0]]).strip() for ids in found.values()]
    assert {len(first) for first in firsts} <= {1, 2}
    assert firsts == sorted(firsts, key=firsts.index)  # together, by their first token
    whole = {text for _, text in vocabulary_words(task)}
    assert not whole & set(found)
    assert all(len(word) >= 3 and word.startswith(f) for word, f in zip(found, firsts, strict=True))


def test_a_small_limit_leaves_a_quarter_to_them() -> None:
    task = same_pair()
    few = suspectable(task, 40, 10**6, 8192)
    assert len(few) == 40 and sum(len(ids) == 2 for ids in few.values()) == 10
    assert [len(ids) for ids in suspectable(task, 40, 10**6, 0).values()] == [1] * 40
    assert suspectable(task, 0, 10**6, 8192) == {}


def test_of_too_many_words_those_that_model_1_expects_are_looked_at(monkeypatch: Any) -> None:
    task = same_pair()
    words = vocabulary_words(task)
    wanted = [words[-1], words[5], words[-7]]
    rows = torch.zeros(len(candidate_words.LEADS), 512)
    rows[:, [token for token, _ in wanted]] = 1
    rows[0, words[0][0]] = 2.5  # expected in one of the sentences alone: less on the whole
    monkeypatch.setattr(type(task), "next_log_probs", lambda *_: iter(rows))
    found = suspectable(task, 3, 10**6, 0)
    assert found == {text: (token,) for token, text in sorted(wanted)}  # the tokenizer's order


def test_where_all_words_are_paid_for_nobody_is_asked() -> None:
    task = same_pair()
    count = len(vocabulary_words(task))
    before = task.pair.ledger.total
    assert len(suspectable(task, count, 10**6, 0)) == count and task.pair.ledger.total == before


def test_a_word_stands_out_among_those_of_as_many_tokens() -> None:
    words = {"one": (1,), "two": (2,), "six": (3,), "ab": (4, 5), "abc": (4, 6), "abd": (4, 7)}
    usual = torch.tensor([1.0, 1.0, 3.0, 10.0, 10.0, 20.0])  # the longer ones are all larger
    moved = torch.stack([usual, torch.ones(6), torch.zeros(6)], dim=1)
    assert list(standing_out(words, moved, 1, 2)) == ["six", "abd"]
