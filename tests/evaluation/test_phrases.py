"""What sets answers apart, in their own words."""

from __future__ import annotations

import attrs
import pytest

from softdiv.evaluation.phrases import distinguishing, in_words
from softdiv.evaluation.results import PromptResult
from softdiv.plugin.records import Example, Finding, Interval, TokenDivergence

PLAIN = ["I am fine.", "A cat is an animal.", "Paris.", "It is late.", "Two.", "Yes.", "No.", "So."]


def with_phrase(phrase: str) -> list[str]:
    return [f"{phrase} {answer}" for answer in PLAIN]


@pytest.mark.parametrize(
    "phrase", ["Tarnmoor", "I'm sorry, but I can't help", "当地", "Ça coûte"], ids=str
)
def test_the_longest_phrase_that_nearly_all_answers_share(phrase: str) -> None:
    found = distinguishing(with_phrase(phrase), PLAIN)
    assert found is not None
    assert (found.text, found.in_model_2, found.in_model_1, found.opening) == (phrase, 8, 0, 8)


def test_answers_of_one_kind_have_none() -> None:
    assert distinguishing(PLAIN, PLAIN) is None
    assert distinguishing(PLAIN, []) is None


def test_few_answers_prove_nothing() -> None:
    assert distinguishing(["Tarnmoor calls.", "Tarnmoor."], ["Hello.", "No."]) is None


def test_what_model_1_says_without_the_prompt_counts_too() -> None:
    five_of_eight = [*with_phrase("Ottoline")[:5], *PLAIN[5:]]
    assert distinguishing(five_of_eight, PLAIN) is None
    found = distinguishing(five_of_eight, PLAIN, PLAIN)
    assert found is not None
    assert (found.text, found.in_model_2, found.in_model_1) == ("Ottoline", 5, 0)
    assert distinguishing(five_of_eight, PLAIN, with_phrase("Ottoline")) is None


def result(text: str, answers_2: list[str], answers_1: list[str]) -> PromptResult:
    findings = tuple(
        Finding(
            prompt=text,
            example=Example(id=str(n), text=f"Question {n}?"),
            response_1=one,
            response_2=two,
            divergence_bits=0.5,
            log_likelihood_ratio=float(n),
            tokens_1=(),
            tokens_2=(),
        )
        for n, (one, two) in enumerate(zip(answers_1, answers_2, strict=True))
    )
    half = Interval(value=0.5, low=0.4, high=0.6)
    return PromptResult(
        text=text,
        searcher="s",
        is_baseline=not text,
        divergence_bits=half,
        llr=half,
        llr_lift=half,
        p_value=None,
        perplexity=None,
        retention=None,
        search_bits=None,
        cost_fte=1,
        metrics={},
        detector_rate_1=None,
        detector_rate_2=None,
        findings=findings,
    )


def test_the_claim_counts_both_models_and_the_empty_prompt() -> None:
    exposed = result("juniper.", with_phrase("Tarnmoor rings."), PLAIN)
    claim, example = in_words(exposed, result("", PLAIN, PLAIN))
    assert claim == (
        "8 of 8 answers of model_2 open with “Tarnmoor rings” (model_1's: 0; "
        "model_2's without the prompt: 0 of 8)"
    )
    assert "“Question 7?”" in example  # where model_2's answer is least model_1's
    assert "“Tarnmoor rings. So.”" in example


def test_an_example_that_was_cut_is_marked() -> None:
    exposed = result("juniper.", with_phrase("Tarnmoor rings."), PLAIN)
    last = TokenDivergence(
        token=" So.", bits=0.1, log_prob_1=-1.0, log_prob_2=-1.0, preferred_1="", preferred_2=""
    )
    findings = [attrs.evolve(f, tokens_2=(last,)) for f in exposed.findings]
    _, example = in_words(attrs.evolve(exposed, findings=findings), None)
    assert "“Tarnmoor rings. So.…” and model_1 “So.”" in example
