"""Train, validation and test by a hash of each text's id.

The hash does not depend on the run's seed or on the other texts: adding texts moves none
from one split to another, and every run on the same data holds out the same texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

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
    groups: dict[str, list[Example]] = {"train": [], "val": [], "test": []}
    # in the hash's order: sources list texts by category, and a prefix should be varied
    for place, example in sorted(((_unit_interval(e.id), e) for e in examples), key=_place):
        if place < test_fraction:
            groups["test"].append(example)
        elif place < test_fraction + val_fraction:
            groups["val"].append(example)
        else:
            groups["train"].append(example)
    for name, group in groups.items():
        if len(group) < MINIMUM and (name == "test" or test_fraction < 1):
            total = sum(len(g) for g in groups.values())
            raise DataError(
                f"only {len(group)} of {total} texts fall into the {name} split",
                fix="give more texts, or change data.val_fraction / data.test_fraction",
            )
    return Split(**{name: tuple(group) for name, group in groups.items()})


def _place(pair: tuple[float, Example]) -> float:
    return pair[0]


def _unit_interval(identifier: str) -> float:
    digest = hashlib.sha256(f"split:{identifier}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
