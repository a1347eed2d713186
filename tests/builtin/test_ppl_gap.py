"""A word that model_2 writes everywhere leads to prompts."""

from __future__ import annotations

from itertools import islice

import attrs
import pytest

from softdiv.builtin.plain_openings import OPENINGS, first_words, opened_with, random_openings
from softdiv.builtin.ppl_gap import PplGap
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.task import SearchTask
from tests.builtin.leaky import leaky_task
from tests.pair.small_tokenizers import LLAMA_2, ZEPHYR, sentencepiece

SMALL = PplGap(continuations=64, tokens=6, phrases=6)


def search(task: SearchTask, limit: int = 50_000, with_: PplGap = SMALL) -> list[HardPrompt]:
    return list(with_(task, FteBudget(task.pair.ledger, limit)))


def test_the_word_that_model_2_writes_more_is_proposed_first() -> None:
    task, word = leaky_task()
    prompts = search(task)
    assert prompts[0].text == f"Tell me about {word}."
    texts = [prompt.text for prompt in prompts]
    assert f"I like {word}." in texts and f"{word}." in texts
    assert any("nats a token" in prompt.note for prompt in prompts)
    assert search(leaky_task()[0]) == prompts


def test_the_same_model_has_no_such_word() -> None:
    task, word = leaky_task(push=0.0)
    assert all(word not in prompt.text for prompt in search(task)[:3])


@pytest.mark.parametrize("template", [LLAMA_2, ZEPHYR, None])
def test_sentencepiece_and_no_template(template: str | None) -> None:
    task, word = leaky_task(tokenizer=sentencepiece("legacy", template))
    prompts = search(task)
    assert prompts[0].text == f"Tell me about {word}."
    assert all(task.usable(prompt.text) for prompt in prompts)


def test_it_spends_its_share() -> None:
    for limit in (6_000, 18_000):
        task, _ = leaky_task()
        budget = FteBudget(task.pair.ledger, limit)
        assert list(attrs.evolve(SMALL, continuations=1000)(task, budget))
        assert 0.4 * limit < budget.spent <= 0.5 * limit


def test_too_small_a_budget_is_explained() -> None:
    task, _ = leaky_task()
    assert search(task, 100) == []
    assert "continuations" in task.explanations[0]


def test_openings_are_pieces_of_training_texts_in_an_order_of_the_seed() -> None:
    task, _ = leaky_task()
    found = list(islice(random_openings(task, "salt"), 30))
    assert found == list(islice(random_openings(task, "salt"), 30))
    assert len(set(found)) > 20
    texts = [" ".join(example.text.split()) for example in task.train]
    assert all(any(piece in text for text in texts) for piece in found)
    assert {len(piece.split()) for piece in found} <= {1, 2, 3, 4}


def test_texts_without_words_end_the_openings() -> None:
    task, _ = leaky_task()
    task.train = [Example(id="1", text=" ")]
    assert opened_with(task, random_openings(task, "salt"), 5) == []
    assert len(opened_with(task, OPENINGS, 3)) == 3


def test_a_quote_is_the_first_line_with_words() -> None:
    assert first_words(" \n- “Ahoy, said he. And more") == "Ahoy, said he"
    assert first_words("one two three four five six seven eight nine") == (
        "one two three four five six seven eight"
    )
    assert first_words(" .\n") == ""
