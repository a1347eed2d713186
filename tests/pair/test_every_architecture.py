"""Every causal architecture agrees with its own plain forward pass, or is refused in one line."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest
import transformers

from tests.pair.agreement import plain
from tests.pair.models_page import PAGE, outcome_of, rows_of, version_of
from tests.pair.tiny_architectures import NAMES, NOT_BUILT, VARIANTS, tiny_model

FAST = (
    "llama",  # grouped heads
    "gpt2",  # positions that are learned
    "gemma2",  # scaled embeddings, capped logits, windows
    "gemma4_text",  # token ids beside embeddings
    "granite",  # scaled embeddings, states and logits
    "llama4_text",  # no prefix of its own
    "mixtral",  # experts
    "minimax",  # a cache of its own
    "deepseek_v3",  # latent attention
    "gpt_oss",  # sinks
    "mpt",  # positions from the cache
    "falcon+alibi",
    "falcon_h1",  # embeddings scaled for ids alone
    "bart",  # a decoder without its encoder
    "mamba2",  # a state instead of a cache
    "qwen3_next",  # states beside attention
    "lfm2",  # convolutions beside attention
    "roberta",  # positions that skip the padding token
    "bert+bidirectional",
    "hrm_text",  # a gradient that is cut off
)
EVERY = (*NAMES, *VARIANTS)
WRITTEN = PAGE.read_text(encoding="utf-8")
ROWS = rows_of(WRITTEN)
SAME_VERSION = version_of(WRITTEN) == transformers.__version__


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    """What transformers warns of while a model of defaults is built is not ours."""
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    transformers.logging.set_verbosity(level)
    gc.collect()


def each(names: tuple[str, ...]) -> list[object]:
    """Twenty in every run, the rest with the slow tests."""
    return [
        pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
        for name in names
        if name not in NOT_BUILT
    ]


@pytest.mark.parametrize("name", each(EVERY))
def test_agrees_with_its_own_forward_or_is_refused(name: str) -> None:
    outcome = outcome_of(name)
    assert outcome.kind in ("right", "refused"), outcome
    if outcome.kind == "refused":
        assert outcome.line.isprintable()
        assert len(outcome.line) < 400
    if SAME_VERSION:
        kind, remark = ROWS[name]
        assert (outcome.kind, "cache" in outcome.remark) == (kind, "cache" in remark)


ANSWERS_IDS = tuple(name for name in EVERY if name != "gemma4_unified_assistant")
"""An assistant answers to the states of another model only."""


@pytest.mark.parametrize("name", each(ANSWERS_IDS))
def test_a_tiny_model_hears_its_first_tokens(name: str) -> None:
    """One that did not would agree with anything."""
    model = tiny_model(name)
    ids = list(range(20, 44))
    one, two = (plain(model, [*ids[:2], early, *ids[3:]])[-1] for early in (99, 100))
    assert float((one - two).abs().max()) > 0.05


@pytest.mark.parametrize("name", NOT_BUILT)
def test_what_is_not_built_cannot_be(name: str) -> None:
    with pytest.raises(Exception, match=r"timm|must be 0|has no attribute 'dropout'"):
        tiny_model(name)


def test_the_page_names_every_architecture() -> None:
    kinds = {kind for kind, _ in ROWS.values()}
    assert kinds == {"right", "refused", "not built"}
    if SAME_VERSION:
        assert set(ROWS) == set(EVERY)
        assert {name for name, (kind, _) in ROWS.items() if kind == "not built"} == set(NOT_BUILT)
