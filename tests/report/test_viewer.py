from __future__ import annotations

import re

import attrs
import pytest

from softdiv.plain_text import encodable
from softdiv.plugin.records import Example
from softdiv.report.viewer import PER_PAGE, to_view, word_diff
from tests.report.hostile import HOSTILE_TEXTS, report_of
from tests.report.sample import sample_report
from tests.report.test_html import parse

EVALUATION = sample_report().evaluation


def view(**query: str) -> str:
    return parse(to_view("a-vs-b", EVALUATION, "user_start", query)).text


def test_words_that_the_other_answer_does_not_have() -> None:
    one, two = word_diff("The sea is calm today.", "The old sea is calm. ")
    assert one == [("The", False), (" sea is calm", False), (" today", True), (".", False)]
    assert two == [
        ("The", False),
        (" old", True),
        (" sea is calm", False),
        (".", False),
        (" ", True),
    ]
    assert word_diff("", "") == ([], [])


@pytest.mark.parametrize("text", ["当地 時間", "a\n\n b", " ", "e\u0301 🚀 x", "…"])
def test_no_character_is_lost(text: str) -> None:
    assert "".join(part for part, _ in word_diff(text, "other words")[0]) == text


def test_every_answer_can_be_found() -> None:
    assert "4 answers of each model, page 1 of 1" in view()
    assert "1 answers" in view(prompt="3") and "Talk of oceans Who?" in view(prompt="3")
    assert "4 answers" in view(words="captain ROWE") and "0 answers" in view(words="submarine")
    same = attrs.evolve(EVALUATION.prompts[0].findings[0], response_1="x", response_2="x")
    evaluation = attrs.evolve(
        EVALUATION, prompts=(attrs.evolve(EVALUATION.prompts[0], findings=(same,)),), baselines=()
    )
    assert "0 answers" in to_view("n", evaluation, "user_start", {"differ": "1"})
    assert "1 answers" in to_view("n", evaluation, "user_start", {})


@pytest.mark.parametrize("strange", ["-1", "999", "x", "9" * 5000, "²", ""])
def test_a_strange_question_is_no_error(strange: str) -> None:
    view(prompt=strange, page=strange, words=strange, differ=strange, other=strange)


def test_many_answers_are_many_pages() -> None:
    finding = EVALUATION.prompts[0].findings[0]
    many = tuple(
        attrs.evolve(finding, example=Example(id=str(n), text=f"Question {n}?"))
        for n in range(PER_PAGE + 1)
    )
    found = (attrs.evolve(EVALUATION.prompts[0], findings=many),)
    evaluation = attrs.evolve(EVALUATION, prompts=found, baselines=())
    first = to_view("n", evaluation, "user_start", {"words": "question"})
    assert 'href="?words=question&amp;page=2">next' in first
    assert "previous" not in first and "Question 20?" not in first
    second = to_view("n", evaluation, "user_start", {"page": "2"})
    assert "Question 20?" in second and ">next" not in second


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_text_stays_text_in_the_browser(text: str) -> None:
    page = to_view(
        text, report_of(text, figures=False).evaluation, "system", {"words": encodable(text[:9])}
    )
    tags = parse(page)
    assert not {"script", "img", "iframe", "link", "base", "object"} & set(tags.names)
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name == "src"]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    page.encode()
