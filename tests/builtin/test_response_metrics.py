"""Metrics of the answers' text, by hand; chrF against sacrebleu 2.6.0."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from softdiv import Example, ResponsePair, TokenDivergence
from softdiv.builtin.response_metrics import (
    ChrfDistance,
    LexicalJaccard,
    PerplexityDifference,
    ResponseLength,
)

CHRF_TEXTS = [
    ("The cat sat on the mat.", "A cat sat on a mat!"),
    ("The captain sails north.", "I like boiled eggs."),
    ("ab", "abc"),
    ("Hello", "Hello world, how are you today?"),
    ("Straße im Süden", "Strasse im Sueden"),
    ("abcdef", ""),
]
# CHRF(char_order=order, beta=beta).sentence_score(text_2, [text_1]).score / 100
CHRF = {
    (6, 1.0): [0.463186, 0.072587, 0.736842, 0.217379, 0.333277, 0.0],
    (6, 2.0): [0.426188, 0.067106, 0.875, 0.409819, 0.349503, 0.0],
    (3, 2.0): [0.551888, 0.134211, 0.875, 0.486133, 0.634894, 0.0],
    (3, 3.0): [0.538637, 0.130915, 0.933333, 0.654225, 0.645172, 0.0],
}


def pair(
    response_1: str,
    response_2: str,
    tokens_1: Sequence[TokenDivergence] = (),
    tokens_2: Sequence[TokenDivergence] = (),
) -> ResponsePair:
    return ResponsePair(
        example=Example(id="a", text="Hi"),
        prompt="",
        response_1=response_1,
        response_2=response_2,
        tokens_1=tokens_1,
        tokens_2=tokens_2,
    )


def scored(*logs: tuple[float, float]) -> tuple[TokenDivergence, ...]:
    """Tokens with probabilities (under model_1, under model_2)."""
    return tuple(
        TokenDivergence(
            token="x",
            bits=0.0,
            log_prob_1=math.log(one),
            log_prob_2=math.log(two),
            preferred_1="x",
            preferred_2="x",
        )
        for one, two in logs
    )


def test_length_counts_words_and_keeps_the_sign() -> None:
    pairs = [pair("one two", "one two three  four"), pair("one two", ""), pair("", "")]
    assert ResponseLength()(pairs) == [2.0, -2.0, 0.0]


def test_jaccard_by_hand() -> None:
    pairs = [
        pair("The cat sat", "the CAT sat"),  # case does not count
        pair("a b", "b c"),  # 1 shared of 3
        pair("yes", "yes!"),  # the mark is a word of its own: 1 of 2
        pair("a", "b"),
        pair("", ""),
        pair("a", ""),
    ]
    assert LexicalJaccard()(pairs) == pytest.approx([0.0, 2 / 3, 0.5, 1.0, 0.0, 1.0])


@pytest.mark.parametrize(("order", "beta"), CHRF)
def test_chrf_is_sacrebleus(order: int, beta: float) -> None:
    values = ChrfDistance(order=order, beta=beta)([pair(*texts) for texts in CHRF_TEXTS])
    assert [1 - value for value in values] == pytest.approx(CHRF[order, beta], abs=1e-6)


def test_chrf_at_its_ends() -> None:
    pairs = [pair("same text", "same text"), pair("same  text", "sametext"), pair("", "")]
    assert ChrfDistance()(pairs) == [0.0, 0.0, 0.0]
    assert ChrfDistance()([pair("abc", "xyz"), pair("", "xyz")]) == [1.0, 1.0]


def test_chrf_with_beta_1_is_symmetric_and_otherwise_not() -> None:
    forth, back = pair("Hello", "Hello world"), pair("Hello world", "Hello")
    even = ChrfDistance(beta=1.0)([forth, back])
    assert even[0] == pytest.approx(even[1])
    skewed = ChrfDistance()([forth, back])
    assert skewed[0] != pytest.approx(skewed[1], abs=0.01)


def test_perplexity_by_hand() -> None:
    # model_1's answer: perplexity 2 to itself, 4 to model_2; model_2's: 8 to model_1, 1 to itself
    both = pair("a b", "c", scored((0.5, 0.25), (0.5, 0.25)), scored((0.25, 1.0), (1 / 16, 1.0)))
    assert PerplexityDifference()([both]) == pytest.approx([1 - 2])
    assert PerplexityDifference(answer="model_1")([both]) == pytest.approx([4 - 2])
    assert PerplexityDifference(answer="model_2")([both]) == pytest.approx([1 - 8])


def test_perplexity_of_impossible_tokens_stays_finite() -> None:
    impossible = TokenDivergence(
        token="x", bits=1.0, log_prob_1=-5000.0, log_prob_2=0.0, preferred_1="", preferred_2=""
    )
    (value,) = PerplexityDifference()([pair("a", "b", [impossible], [impossible])])
    assert math.isfinite(value)
    assert value < -1e300


def test_perplexity_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="tokens were not scored"):
        PerplexityDifference()([pair("a", "b")])
    assert PerplexityDifference()([pair("", "")]) == [0.0]
