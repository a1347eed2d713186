"""Which words are looked at, and which of them stand out."""

from __future__ import annotations

import torch

from softdiv.search.candidate_words import begun_words, standing_out, suspectable, vocabulary_words
from tests.builtin.planted_word import same_pair


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


def test_a_word_stands_out_among_those_of_as_many_tokens() -> None:
    words = {"one": (1,), "two": (2,), "six": (3,), "ab": (4, 5), "abc": (4, 6), "abd": (4, 7)}
    usual = torch.tensor([1.0, 1.0, 3.0, 10.0, 10.0, 20.0])  # the longer ones are all larger
    moved = torch.stack([usual, torch.ones(6), torch.zeros(6)], dim=1)
    assert list(standing_out(words, moved, 1, 2)) == ["six", "abd"]
