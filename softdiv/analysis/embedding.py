"""Answers as vectors, without a model: words weighted by how unlike model_1 they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from softdiv.analysis.words import word_counter

if TYPE_CHECKING:
    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float64]"
Embed = Callable[[Sequence[str], Sequence[str]], tuple[Vectors, Vectors]]
"""``(model_1's answers, model_2's answers) -> ([F, d], [F, d])``, rows of length 1 or 0."""


def tfidf(answers_1: Sequence[str], answers_2: Sequence[str]) -> tuple[Vectors, Vectors]:
    """TF-IDF with **model_1's answers as the reference corpus**.

    A word's weight is log((1 + n) / (1 + df)), df counted over model_1's n answers (Spärck Jones
    1972): a word that model_1 never writes weighs most, however often model_2 writes it. With the
    usual pooled count, the very words that mark a behaviour are discounted for being frequent.

    Returns:
        ``[F, V]`` and ``[F, V]``; a row without a weighted word is 0.
    """
    counter = word_counter(binary=True)
    try:
        counter.fit([*answers_1, *answers_2])
    except ValueError:  # scikit-learn's "empty vocabulary": no answer has a word
        return np.zeros((len(answers_1), 1)), np.zeros((len(answers_2), 1))
    counts = [counter.transform(answers).toarray() for answers in (answers_1, answers_2)]
    frequency = (counts[0] > 0).sum(axis=0)
    weight = np.log((1 + len(answers_1)) / (1 + frequency))
    first, second = (unit(count * weight) for count in counts)
    return first, second


def each_alone(embed: Callable[[Sequence[str]], NDArray[Any]]) -> Embed:
    """An embedder of single texts, e.g. a sentence encoder, as one of answer pairs."""

    def pairs(answers_1: Sequence[str], answers_2: Sequence[str]) -> tuple[Vectors, Vectors]:
        vectors = unit(np.asarray(embed([*answers_1, *answers_2]), dtype=np.float64))
        return vectors[: len(answers_1)], vectors[len(answers_1) :]

    return pairs


def distances(first: Vectors, second: Vectors) -> Vectors:
    """``[F]`` cosine distances, 0 same direction to 2 opposite; two zero rows do not differ."""
    cosine: Vectors = (first * second).sum(axis=1)
    both_empty = ~first.any(axis=1) & ~second.any(axis=1)
    found: Vectors = np.where(both_empty, 0.0, np.clip(1 - cosine, 0, 2))
    return found


def same_direction(first: Vectors, second: Vectors) -> float:
    """How alike the *changes* from first to second are over texts, in [0, 1].

    The mean resultant length of the unit changes (Mardia & Jupp 2000, ch. 2): 1 when model_2
    departs in one and the same direction every time, about 1/sqrt(F) when F changes point anywhere,
    as two samples of one model do. Equal answers count as no change.
    """
    if not len(first):
        return 0.0
    return float(np.linalg.norm(unit(second - first).mean(axis=0)))


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9)
    return scaled
