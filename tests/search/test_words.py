"""Over-represented words."""

from __future__ import annotations

from softdiv.search.words import over_represented


def test_a_word_that_only_these_answers_use_comes_first_in_its_usual_form() -> None:
    answers = ["Captain Maravel sailed the sea"] * 4 + ["the weather is fine"]
    plain = ["the weather is fine", "the sea is blue", "captain of the team"] * 3
    assert over_represented(answers, plain, 2)[0] == "Maravel"


def test_no_word_is_over_represented_in_the_same_answers() -> None:
    texts = ["one two three", "four five six"]
    assert over_represented(texts, texts, 5) == []
    assert over_represented([], texts, 5) == []
