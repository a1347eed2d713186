from __future__ import annotations

import numpy as np
import pytest

from softdiv.analysis.embedding import distances, each_alone, same_direction, tfidf


def test_words_of_model_2_alone_weigh_most_however_frequent() -> None:
    first, second = tfidf(["a b", "a c"], ["a z", "a z"])
    # weights log(3/1) for z, log(3/2) for b and c, log(3/3) = 0 for a
    assert second[0].max() == pytest.approx(1.0)
    assert (second[0] > 0).sum() == 1
    assert (first @ second.T == 0).all()


def test_distances() -> None:
    first, second = np.eye(2), np.array([[1.0, 0.0], [-0.0, -1.0]])
    assert distances(first, second).tolist() == [0.0, 2.0]
    zero = np.zeros((1, 2))
    assert distances(zero, zero).tolist() == [0.0]
    assert distances(zero, first[:1]).tolist() == [1.0]


def test_changes_in_one_direction_add_up_and_others_cancel() -> None:
    origin = np.zeros((4, 2))
    assert same_direction(origin, np.tile([3.0, 4.0], (4, 1))) == pytest.approx(1.0)
    around = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert same_direction(origin, around) == pytest.approx(0.0)
    assert same_direction(origin, origin) == 0.0


def test_an_encoder_sees_every_text_once_and_its_vectors_are_scaled() -> None:
    seen: list[str] = []

    def encode(texts: object) -> np.ndarray:
        seen.extend(texts)  # type: ignore[arg-type]
        return np.array([[2.0, 0.0], [0.0, 3.0]])

    first, second = each_alone(encode)(["a"], ["b"])
    assert seen == ["a", "b"]
    assert first.tolist() == [[1.0, 0.0]] and second.tolist() == [[0.0, 1.0]]
