"""Tiny random pairs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.manager import ModelPair

MakePair = Callable[..., ModelPair]


@pytest.fixture
def make_pair() -> MakePair:
    def make(noise: float = 0.05, **options: object) -> ModelPair:
        first = TinyLoader(**options)  # type: ignore[arg-type]
        second = TinyLoader(noise=noise, **options)  # type: ignore[arg-type]
        model_1, tokenizer = first.load("cpu")
        model_2, _ = second.load("cpu")
        return ModelPair.of(model_1, model_2, tokenizer)

    return make
