"""Tiny random pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.manager import ModelPair

MakePair = Callable[..., ModelPair]


@pytest.fixture(scope="session", autouse=True)
def _children_are_not_measured() -> Iterator[None]:
    """A pytest started by a test would write its coverage over its parent's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLIPCOVER_ENABLED", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Words of random models are nothing to keep in a user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTDIV_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def make_pair() -> MakePair:
    def make(noise: float = 0.05, **options: object) -> ModelPair:
        first = TinyLoader(**options)  # type: ignore[arg-type]
        second = TinyLoader(noise=noise, **options)  # type: ignore[arg-type]
        model_1, tokenizer = first.load("cpu")
        model_2, _ = second.load("cpu")
        return ModelPair.of(model_1, model_2, tokenizer)

    return make
