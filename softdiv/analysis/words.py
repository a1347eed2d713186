"""Words of answers: counting them, and the terms that set groups of answers apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_WORDS = 4000
"""the most frequent ones; bounds memory for thousands of answers"""


def word_counter(*, binary: bool = False, stop_words: str | None = None) -> Any:
    """scikit-learn's CountVectorizer over lower-case words of any alphabet."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(
        token_pattern=r"(?u)\b\w+\b",  # noqa: S106 (a pattern of words, no password)
        binary=binary,
        stop_words=stop_words,
        max_features=MAX_WORDS,
    )


def cluster_terms(
    answers_1: Sequence[str], answers_2: Sequence[str], labels: Sequence[int], top: int = 4
) -> dict[int, tuple[str, ...]]:
    """The words that name each group, by c-TF-IDF.

    A group counts as one document; a word weighs tf * log(1 + A / f), with A the mean number of
    words per group and f the word's count in all groups (Grootendorst 2022, BERTopic, eq. 4).
    Counted are the answers in which model_2 writes a word and model_1 does not: a name says what
    model_2 does, and no single long answer can set it.

    Returns:
        label -> up to ``top`` terms, best first; empty where model_2 adds no word.
    """
    named = sorted(set(labels))
    counter = word_counter(binary=True, stop_words="english")
    try:
        counter.fit([*answers_1, *answers_2])
    except ValueError:  # "empty vocabulary"
        return dict.fromkeys(named, ())
    words = counter.get_feature_names_out()
    added = counter.transform(answers_2).toarray() - counter.transform(answers_1).toarray()
    at = np.asarray(labels)
    counts = np.stack([(added[at == label] > 0).sum(axis=0) for label in named])
    total = counts.sum(axis=0)
    weight = np.log(1 + counts.sum() / len(named) / np.maximum(total, 1))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    found = {}
    for row, label in enumerate(named):
        score = share[row] * weight
        order = np.argsort(-score, kind="stable")[:top]
        found[label] = tuple(str(words[i]) for i in order if score[i] > 0)
    return found
