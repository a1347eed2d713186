"""Train, validation and test by a hash of each text's id.

The hash does not depend on the run's seed or on the other texts: adding texts moves none
from one split to another, and every run on the same data holds out the same texts. Only where
there are so few that a split would be empty do the others count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import attrs

from softdiv.errors import DataError
from softdiv.plugin.records import Example

MINIMUM = 2
"""Texts each split must have; below it nothing can be chosen or reported."""


@attrs.frozen
class Split:
    """Three disjoint groups of user texts."""

    train: tuple[Example, ...]
    """Gradients and candidate scores."""
    val: tuple[Example, ...]
    """Choosing among prompts."""
    test: tuple[Example, ...]
    """The report's numbers; looked at once."""


def split_examples(
    examples: Iterable[Example], *, val_fraction: float, test_fraction: float
) -> Split:
    """Divide by id.

    Args:
        test_fraction: 1 leaves nothing to train on or to choose by, and wants neither.

    Raises:
        DataError: a split would have fewer than :data:`MINIMUM` texts.
    """
    # in the hash's order: sources list texts by category, and a prefix should be varied
    placed = sorted(((_unit_interval(e.id), e) for e in examples), key=_place)
    until_test, until_val = test_fraction, test_fraction + val_fraction
    groups = _groups(placed, until_test, until_val)
    if not _enough(groups, test_fraction):
        # few texts: a hash may leave a split empty, so they are counted off in its order
        count = len(placed)
        test = max(MINIMUM, round(count * test_fraction))
        val = max(MINIMUM, round(count * val_fraction))
        ranked = [((n + 0.5) / count, example) for n, (_, example) in enumerate(placed)]
        counted = _groups(ranked, test / count, (test + val) / count) if count else groups
        groups = counted if _enough(counted, test_fraction) else groups
    for name, group in groups.items():
        if len(group) < MINIMUM and (name == "test" or test_fraction < 1):
            raise DataError(
                f"only {len(group)} of {len(placed)} texts fall into the {name} split",
                fix="give more texts, or change data.val_fraction / data.test_fraction",
            )
    return Split(**{name: tuple(group) for name, group in groups.items()})


def _groups(
    placed: Sequence[tuple[float, Example]], until_test: float, until_val: float
) -> dict[str, list[Example]]:
    """By place, from 0 to 1: test, then validation, then training."""
    groups: dict[str, list[Example]] = {"train": [], "val": [], "test": []}
    for place, example in placed:
        name = "test" if place < until_test else "val" if place < until_val else "train"
        groups[name].append(example)
    return groups


def _enough(groups: Mapping[str, Sequence[Example]], test_fraction: float) -> bool:
    wanted = ("test",) if test_fraction == 1 else ("train", "val", "test")
    return all(len(groups[name]) >= MINIMUM for name in wanted)


def _place(pair: tuple[float, Example]) -> float:
    return pair[0]


def _unit_interval(identifier: str) -> float:
    digest = hashlib.sha256(f"split:{identifier}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
