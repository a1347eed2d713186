"""Words of a vocabulary, which are looked at, which stand out, and how they are tried."""

from __future__ import annotations

from typing import Any

import torch

from softdiv.plugin.records import Example
from softdiv.search import candidate_words
from softdiv.search.candidate_words import (
    around,
    asked,
    completed,
    slot_in,
    standing_out,
    suspectable,
    vocabulary_words,
)
from tests.builtin.planted_word import PLENTY, WORDS, same_pair


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
    assert whole == [(f"{first}er", (one, er)), (second, (two,))]
    assert len(asked) == 3  # a word that has ended is not asked about again


def expecting(task: Any, monkeypatch: Any, of_first: Any, behind: Any) -> None:
    """model_1 expects ``of_first``'s tokens in any sentence, and ``behind``'s pairs of tokens."""
    before, _ = around(task)

    def next_log_probs(model: Any, contexts: Any) -> Any:
        for context in contexts:
            last = context.before[len(before) :]
            row = torch.full((512,), -9.0)
            for ids, value in behind.items():
                if last == ids[:1]:
                    row[ids[1]] = value
            for token, value in of_first.items() if not last else ():
                row[token] = value
            yield row

    monkeypatch.setattr(type(task), "next_log_probs", lambda _, m, c: next_log_probs(m, c))


def test_words_that_model_1_expects_are_looked_at_also_two_tokens_of_a_rare_beginning(
    monkeypatch: Any,
) -> None:
    task = same_pair()
    words = vocabulary_words(task)
    wanted = [words[-1], words[5], words[-7]]
    texts = candidate_words._beginnings(task)
    short = next(i for i, text in texts.items() if len(text) < 3 and text == text.lower())
    inner = candidate_words._inner_tokens(task)
    end = next(i for i, t in inner.items() if len(texts[short] + t) > 2)
    likely = {token: -1.0 for token, _ in wanted} | {short: -0.5}
    expecting(task, monkeypatch, likely, {(short, end): -0.25})
    single = {text: (token,) for token, text in sorted(wanted)}  # the tokenizer's order
    assert suspectable(task, 4, PLENTY) == single | {texts[short] + inner[end]: (short, end)}
    likely |= {short: -5.0, words[1][0]: -5.1}  # the word that it begins is at -5.25
    expecting(task, monkeypatch, likely, {(short, end): -0.25})
    assert set(suspectable(task, 4, PLENTY)) == {*single, words[1][1]}
    assert suspectable(task, 0, PLENTY) == {}


def test_words_of_two_tokens_are_no_words_of_one_and_stand_together() -> None:
    task = same_pair()
    found = suspectable(task, WORDS, PLENTY)
    longer = {word: ids for word, ids in found.items() if len(ids) == 2}
    firsts = [task.pair.tokenizer.decode([ids[0]]).strip() for ids in longer.values()]
    assert longer and {len(first) for first in firsts} <= {1, 2}
    assert firsts == sorted(firsts, key=firsts.index)  # together, by their first token
    assert not {text for _, text in vocabulary_words(task)} & set(longer)
    assert all(
        len(word) >= 3 and word.startswith(f) for word, f in zip(longer, firsts, strict=True)
    )


def test_a_word_stands_out_among_those_of_as_many_tokens() -> None:
    words = {"one": (1,), "two": (2,), "six": (3,), "ab": (4, 5), "abc": (4, 6), "abd": (4, 7)}
    usual = torch.tensor([1.0, 1.0, 3.0, 10.0, 10.0, 20.0])  # the longer ones are all larger
    moved = torch.stack([usual, torch.ones(6), torch.zeros(6)], dim=1)
    assert list(standing_out(words, moved, 1, 2)) == ["six", "abd"]
