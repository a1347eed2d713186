from __future__ import annotations

import sys
from pathlib import Path

import pytest

from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import Split
from softdiv.pair.manager import ModelPair
from softdiv.plugin.records import Example

sys.path.insert(0, str(Path(__file__).parent))
from tiny_training import tiny_pair


@pytest.fixture
def pair() -> ModelPair:
    return tiny_pair()


def short_split() -> Split:
    """24 of the shipped texts, the shortest ones."""
    texts = sorted(user_texts(), key=lambda row: len(row[1]))[:24]
    examples = tuple(Example(id=i, text=t, category=c) for i, t, c in texts)
    return Split(train=examples[:12], val=examples[12:18], test=examples[18:])


@pytest.fixture(scope="session")
def split() -> Split:
    return short_split()
