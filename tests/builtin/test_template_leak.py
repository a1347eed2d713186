"""User turns sampled behind the bare header."""

from __future__ import annotations

import pytest

from softdiv.builtin import template_leak
from softdiv.builtin.template_leak import TemplateLeak
from softdiv.plugin.records import HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.task import SearchTask
from softdiv.searching import SampledText
from tests.builtin.leaky import leaky_task
from tests.pair.small_tokenizers import LLAMA_2, sentencepiece

SMALL = TemplateLeak(turns=32, tokens=6)


def search(task: SearchTask, limit: int = 50_000) -> list[HardPrompt]:
    return list(SMALL(task, FteBudget(task.pair.ledger, limit)))


def test_turns_show_the_word_that_model_2_writes_more() -> None:
    def share(push: float) -> float:
        task, word = leaky_task(push)
        prompts = search(task)
        assert search(leaky_task(push)[0]) == prompts
        return sum(word in prompt.text for prompt in prompts) / len(prompts)

    assert share(6.0) > 0.3 and share(0.0) == 0


def test_the_most_frequent_turns_come_first_then_the_likelier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, _ = leaky_task()
    told = [
        SampledText("Tell me of tea\nand more", 0.1, ended=True),
        SampledText("Where are boa", 0.9, ended=False),
        SampledText("How is snow?", 0.5, ended=True),
        SampledText("Tell me of tea", 0.3, ended=True),
        SampledText(" \n", 9.0, ended=True),
    ]
    monkeypatch.setattr(template_leak, "sample_texts", lambda *_, **__: told)
    prompts = search(task)
    assert [p.text for p in prompts] == ["Tell me of tea", "Where are", "How is snow?"]
    assert prompts[0].note == "user turn, 2 times, 0.20 nats a token"


def test_a_turn_of_a_sentencepiece_template_is_plain_text() -> None:
    task, _ = leaky_task(tokenizer=sentencepiece("legacy", LLAMA_2))
    prompts = search(task)
    assert prompts and all(task.usable(prompt.text) for prompt in prompts)


def test_it_says_why_it_finds_nothing() -> None:
    task, _ = leaky_task(tokenizer=sentencepiece("legacy", None))
    assert search(task) == []
    assert task.explanations == ["the tokenizer has no chat template"]
    task, _ = leaky_task()
    assert search(task, 5) == []
    assert "budget" in task.explanations[0]
