"""Token by token gives what the whole row at once gives, however long it becomes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Gemma2Config, GPTNeoConfig

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.decoding import CachedDecoder
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
    decoder = CachedDecoder(wrapper, CONTEXTS)
    rows = [list(context.before) for context in CONTEXTS]
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        found = decoder.log_probs()
        for row, ids in enumerate(rows):
            whole = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert torch.allclose(found[row], whole, atol=1e-4), (step, row)
        if step in (10, ROOM + 10):
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
}


@pytest.mark.parametrize("field", WINDOWS)
@torch.no_grad()
def test_rows_longer_than_the_attention_window_are_refused(field: str) -> None:
    _, tokenizer = TinyLoader().load("cpu")
    kind, options = WINDOWS[field]
    model = random_model(kind, 1, **options, **{field: WIDEST + 1})
    decoder = CachedDecoder(ModelWrapper("model_2", model, tokenizer), CONTEXTS)
    tokens = torch.full((len(CONTEXTS),), 7)
    decoder.advance(tokens)
    with pytest.raises(PairError, match=rf"model_2: {WIDEST + 2} tokens .* attention window"):
        decoder.advance(tokens)
    narrow = random_model(kind, 1, **options, **{field: WIDEST - 1})
    with pytest.raises(PairError, match=rf"{WIDEST} tokens .* attention window"):
        CachedDecoder(ModelWrapper("model_2", narrow, tokenizer), CONTEXTS)
