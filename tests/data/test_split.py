"""Held-out texts stay held out."""

from __future__ import annotations

import pytest

from softdiv.data.split import split_examples
from softdiv.errors import DataError
from softdiv.plugin.records import Example


def texts(count: int, start: int = 0) -> list[Example]:
    return [Example(id=f"t{i}", text=f"text {i}") for i in range(start, start + count)]


def test_disjoint_complete_and_near_the_fractions() -> None:
    split = split_examples(texts(2000), val_fraction=0.2, test_fraction=0.3)
    ids = [e.id for group in (split.train, split.val, split.test) for e in group]
    assert sorted(ids) == sorted(e.id for e in texts(2000))
    assert len(split.test) / 2000 == pytest.approx(0.3, abs=0.04)
    assert len(split.val) / 2000 == pytest.approx(0.2, abs=0.04)


def test_adding_or_reordering_texts_moves_none() -> None:
    small = split_examples(texts(60), val_fraction=0.2, test_fraction=0.3)
    large = split_examples(texts(200)[::-1], val_fraction=0.2, test_fraction=0.3)
    for name in ("train", "val", "test"):
        assert set(getattr(small, name)) <= set(getattr(large, name))


@pytest.mark.parametrize("count", [6, 7, 9, 12, 20])
def test_few_texts_are_counted_off(count: int) -> None:
    for start in range(0, 2000, 50):
        split = split_examples(texts(count, start), val_fraction=0.2, test_fraction=0.3)
        sizes = [len(group) for group in (split.train, split.val, split.test)]
        assert sum(sizes) == count and min(sizes) >= 2
        again = split_examples(texts(count, start)[::-1], val_fraction=0.2, test_fraction=0.3)
        assert again == split


def test_too_few_texts_are_refused() -> None:
    with pytest.raises(DataError, match=r"fall into the \w+ split"):
        split_examples(texts(3), val_fraction=0.2, test_fraction=0.3)
    with pytest.raises(DataError, match="only 0 of 100 texts fall into the train split"):
        split_examples(texts(100), val_fraction=0.5, test_fraction=0.5)
