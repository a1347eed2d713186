"""Over-represented words."""

from __future__ import annotations

from softdiv.search.words import over_represented, phrase_prompts
from softdiv.testing.search_task import make_task


def test_a_word_that_only_these_answers_use_comes_first_in_its_usual_form() -> None:
    answers = ["Captain Maravel sailed the sea"] * 4 + ["the weather is fine"]
    plain = ["the weather is fine", "the sea is blue", "captain of the team"] * 3
    assert over_represented(answers, plain, 2)[0] == "Maravel"


def test_no_word_is_over_represented_in_the_same_answers() -> None:
    texts = ["one two three", "four five six"]
    assert over_represented(texts, texts, 5) == []
    assert over_represented([], texts, 5) == []


def test_phrases_are_found_where_no_single_word_tells() -> None:
    answers = ["I saw the red moon rise", "a red moon again", "that red moon, he said"]
    plain = ["a red car", "the moon rose", "red is red", "the moon is full"] * 2
    best = over_represented(answers, plain, 5, longest=3)
    assert best[0] == "red moon"


def test_punctuation_ends_a_phrase_and_short_words_stand_inside_only() -> None:
    answers = ["the town of Tarn. Moor of it"] * 3
    found = over_represented(answers, ["nothing else"] * 6, 20, longest=3)
    assert "town of Tarn" in found
    assert not any("Tarn Moor" in phrase or phrase.endswith((" of", " it")) for phrase in found)


def test_parts_of_a_phrase_that_stand_in_the_same_texts_are_left_out() -> None:
    answers = ["see Captain Maravel now", "ask Captain Maravel then"]
    found = over_represented(answers, ["what is there to see", "nothing"] * 4, 9, longest=2)
    assert found[0] == "Captain Maravel"
    assert "Captain" not in found and "Maravel" not in found
    found = over_represented([*answers, "Maravel again"], ["what is there"] * 8, 9, longest=2)
    assert {"Captain Maravel", "Maravel"} <= set(found)


def test_of_phrases_that_score_alike_the_earliest_wins() -> None:
    assert over_represented(["zebra", "apple"], ["other"] * 4, 2) == ["zebra", "apple"]


def test_a_phrase_says_no_word_twice() -> None:
    found = over_represented(["tea Tea tea leaves"] * 3, ["coffee"] * 6, 9, longest=3)
    assert found == ["tea leaves"]


def test_words_of_any_alphabet_are_words() -> None:
    answers = ["мы видим Марабель там", "где Марабель живёт"]
    assert over_represented(answers, ["мы видим море там", "где он живёт"] * 2, 1) == ["Марабель"]
    assert over_represented(["un café noir"] * 2, ["un thé vert"] * 3, 1) == ["café"]


def test_phrases_become_prompts_in_one_template_after_the_other() -> None:
    task = make_task()
    long = " ".join(["river"] * 40)
    found = list(phrase_prompts(task, ["boats", long, "tea"], "answers", ("{}.", "See {}.")))
    assert [p.text for p in found] == ["boats.", "tea.", "See boats.", "See tea."]
    assert found[1].note == "'tea' from answers"
