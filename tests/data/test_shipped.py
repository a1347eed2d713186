"""The shipped texts are what their README says they are."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "softdiv" / "data" / "shipped"
USER_TEXTS = "user_texts.jsonl"
NATURAL_PROMPTS = "natural_prompts.jsonl"
# file: (label key, fewest texts, fewest and most words of a text)
FILES = {USER_TEXTS: ("category", 400, 5, 40), NATURAL_PROMPTS: ("group", 100, 2, 15)}

every_file = pytest.mark.parametrize("name", FILES)


def records(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SHIPPED / name).read_text(encoding="utf-8").splitlines()]


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b)


def tokens(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9']+", text.lower()))


@every_file
def test_one_complete_record_per_line(name: str) -> None:
    content = (SHIPPED / name).read_text(encoding="utf-8")
    assert content.endswith("\n") and "\n\n" not in content
    label = FILES[name][0]
    for record in records(name):
        assert list(record) == ["id", "text", label]
        assert all(isinstance(value, str) and value for value in record.values())


@every_file
def test_there_are_enough_texts(name: str) -> None:
    assert len(records(name)) >= FILES[name][1]


@every_file
def test_ids_are_unique_and_say_the_label(name: str) -> None:
    label = FILES[name][0]
    ids = [record["id"] for record in records(name)]
    assert len(set(ids)) == len(ids)
    for record in records(name):
        assert re.fullmatch(re.escape(record[label]) + r"-\d+", record["id"])


@every_file
def test_texts_are_single_lines_of_ascii(name: str) -> None:
    for record in records(name):
        text = record["text"]
        assert text.isascii() and text.isprintable(), record["id"]
        assert text == " ".join(text.split()), record["id"]


@every_file
def test_texts_have_a_natural_length(name: str) -> None:
    _, _, fewest, most = FILES[name]
    for record in records(name):
        assert fewest <= len(record["text"].split()) <= most, record["id"]


@every_file
def test_no_two_texts_are_nearly_the_same(name: str) -> None:
    bags = [(record["id"], tokens(record["text"])) for record in records(name)]
    near = [(a, b) for (a, x), (b, y) in combinations(bags, 2) if jaccard(x, y) > 0.6]
    assert near == []


@every_file
def test_labels_are_equally_many(name: str) -> None:
    sizes = Counter(record[FILES[name][0]] for record in records(name))
    assert len(sizes) == 12
    assert set(sizes.values()) == {len(records(name)) // 12}


def test_user_texts_vary_in_form() -> None:
    texts = [record["text"] for record in records(USER_TEXTS)]
    questions = sum("?" in text for text in texts) / len(texts)
    assert 0.35 <= questions <= 0.65
    assert sum(text[0].islower() for text in texts) >= 0.05 * len(texts)
    middling = sum(8 <= len(text.split()) <= 25 for text in texts) / len(texts)
    assert middling >= 0.8


def test_no_opening_dominates_a_category() -> None:
    openings: dict[str, Counter[str]] = {}
    for record in records(USER_TEXTS):
        first_two = " ".join(record["text"].lower().split()[:2])
        openings.setdefault(record["category"], Counter())[first_two] += 1
    for category, counts in openings.items():
        opening, times = counts.most_common(1)[0]
        assert times <= 6, f"{category}: {times} texts open with '{opening}'"


def test_user_texts_and_prompts_do_not_repeat_each_other() -> None:
    prompts = [tokens(record["text"]) for record in records(NATURAL_PROMPTS)]
    for record in records(USER_TEXTS):
        bag = tokens(record["text"])
        assert all(jaccard(bag, prompt) <= 0.6 for prompt in prompts), record["id"]


def test_no_contact_details() -> None:
    for name in FILES:
        for record in records(name):
            text = record["text"]
            assert not re.search(r"\S@\S|https?:|www\.|\d{6,}", text), record["id"]
