"""Token by token gives what the whole row at once gives, however long it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, GPTNeoConfig, Llama4TextConfig

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.decoder import Decoder, WindowDecoder, start_decoding
from softdiv.pair.decoding import CachedDecoder
from softdiv.pair.inputs import common_prefix
from softdiv.pair.kv_cache import ROOM
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper
from tests.pair.test_unlike_pairs import random_model

CONTEXTS = [
    Context((5, 6, 9, 10, 11)),
    Context((5, 6, 7)),
    Context((5, 6, 9, 10, 11)),  # prefilled once for two rows
    *(Context((5, 6, *range(20, 20 + length))) for length in range(1, 18)),  # a second group
]
WIDEST = max(map(len, CONTEXTS))
STEPS = 2 * ROOM + 3
"""More than a buffer has room for, twice."""


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "gemma2"])
@torch.no_grad()
def test_decoding_agrees_with_the_whole_row(architecture: str) -> None:
    model, tokenizer = TinyLoader().load("cpu")
    if architecture == "gemma2":  # every other layer slides
        model = random_model(Gemma2Config, 1, sliding_window=WIDEST + STEPS, pad_token_id=1)
    elif architecture != "llama":
        # ignored: a test's parameter is a str, the option one of three literals
        model, _ = TinyLoader(architecture=architecture).load("cpu")  # type: ignore[arg-type]
    wrapper = ModelWrapper("model_1", model, tokenizer)
    agrees(
        wrapper,
        CachedDecoder(wrapper, CONTEXTS, None, common_prefix(CONTEXTS)),
        STEPS,
        (10, ROOM + 10),
    )


def agrees(wrapper: ModelWrapper, decoder: Decoder, steps: int, drops: Sequence[int]) -> None:
    """Random answers of ``steps`` tokens; rows are left out after those steps."""
    rows = [list(context.before) for context in CONTEXTS]
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        found = decoder.log_probs()
        for row, ids in enumerate(rows):
            whole = wrapper.model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert torch.allclose(found[row], whole, atol=1e-4), (step, row)
        if step in drops:
            kept = torch.arange(step % 3, len(rows), 2)
            decoder.keep(kept)
            rows = [rows[i] for i in kept]
        tokens = torch.randint(3, 200, (len(rows),), generator=generator)
        for ids, token in zip(rows, tokens.tolist(), strict=True):
            ids.append(token)
        decoder.advance(tokens)


WINDOWS: dict[str, tuple[type, dict[str, Any]]] = {
    "sliding_window": (Gemma2Config, {"pad_token_id": 1}),
    "window_size": (
        GPTNeoConfig,
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    ),
    "attention_chunk_size": (
        Llama4TextConfig,
        {
            "layer_types": ["chunked_attention", "full_attention"],
            "intermediate_size_mlp": 64,
            "num_local_experts": 2,
            "pad_token_id": 1,
        },
    ),
}


@pytest.mark.parametrize("field", WINDOWS)
@pytest.mark.parametrize("size", [3, WIDEST - 1, WIDEST, WIDEST + 1, WIDEST + 3])
@torch.no_grad()
def test_rows_may_outgrow_an_attention_window(field: str, size: int) -> None:
    _, tokenizer = TinyLoader().load("cpu")
    kind, options = WINDOWS[field]
    model = random_model(kind, 1, **options, **{field: size})
    wrapper = ModelWrapper("model_2", model, tokenizer)
    decoder = start_decoding(wrapper, CONTEXTS)
    assert isinstance(decoder, WindowDecoder)
    agrees(wrapper, decoder, 6, (1, 4))


@torch.no_grad()
def test_a_soft_prompt_stays_where_it_is_when_its_rows_outgrow_a_window() -> None:
    _, tokenizer = TinyLoader().load("cpu")
    kind, options = WINDOWS["sliding_window"]
    wrapper = ModelWrapper("m", random_model(kind, 1, **options, sliding_window=8), tokenizer)
    soft = wrapper.embed(torch.tensor([30, 31]))
    slots = [Context((5, 6), (7, 8), has_slot=True), Context((5,), (9,), has_slot=True)]
    texts = [[5, 6, 30, 31, 7, 8], [5, 30, 31, 9]]
    decoder = start_decoding(wrapper, slots, soft)
    for step in range(5):
        found = decoder.log_probs()
        for row, ids in enumerate(texts):
            whole = wrapper.model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert torch.allclose(found[row], whole, atol=1e-4), (step, row)
            ids.append(40 + step + row)
        decoder.advance(torch.tensor([40 + step, 41 + step]))
