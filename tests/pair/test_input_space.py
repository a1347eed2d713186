"""Soft prompts live where token embeddings enter the layers, however the module makes them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Gemma3TextConfig, GemmaConfig, LlamaConfig, XGLMConfig

from softdiv.builtin.loaders.tiny import tiny_tokenizer
from softdiv.config.schema import TrainingConfig
from softdiv.pair.input_space import mean_norm, nearest_token_distance, vectors
from softdiv.pair.layout import Context, Layout
from softdiv.pair.teacher_forcing import response_states
from softdiv.pair.wrapper import ModelWrapper
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from tests.pair.test_unlike_pairs import random_model

TEXT = "You are a pirate."
KINDS: dict[str, tuple[type, dict[str, Any], float]] = {
    "llama": (LlamaConfig, {}, 1.0),
    "gemma": (GemmaConfig, {"head_dim": 8, "pad_token_id": 1}, 32**0.5),
    "gemma3": (Gemma3TextConfig, {"head_dim": 8, "pad_token_id": 1}, 32**0.5),
    "xglm": (
        XGLMConfig,
        {"d_model": 32, "attention_heads": 4, "num_layers": 2, "ffn_dim": 64},
        32**0.5,
    ),
}


@pytest.fixture(params=KINDS)
def scaled(request: pytest.FixtureRequest) -> tuple[ModelWrapper, float]:
    kind, options, scale = KINDS[request.param]
    model = random_model(kind, 1, **options)
    return ModelWrapper("model_1", model, tiny_tokenizer(512, True)), scale


def started(wrapper: ModelWrapper, **options: Any) -> DivergenceSoftPrompt:
    layout = Layout(wrapper.tokenizer)
    return DivergenceSoftPrompt.create(wrapper, layout, TrainingConfig(**options), seed=0)


def test_a_token_is_what_enters_the_layers(scaled: tuple[ModelWrapper, float]) -> None:
    wrapper, scale = scaled
    ids = torch.tensor([5, 60, 300])
    assert torch.allclose(vectors(wrapper, ids), scale * wrapper.embedding_table[ids])
    table = wrapper.embedding_table.norm(dim=-1).mean()
    assert mean_norm(wrapper) == pytest.approx(float(scale * table), rel=1e-5)


def test_a_soft_prompt_of_a_text_is_that_text(scaled: tuple[ModelWrapper, float]) -> None:
    wrapper, _ = scaled
    layout = Layout(wrapper.tokenizer)
    ids, slot = layout.encode(TEXT), layout.soft("Name a colour.")
    prompt = started(wrapper, num_soft_prompt_tokens=len(ids), init="text", init_text=TEXT)
    hard = Context(before=(*slot.before, *ids, *slot.after))
    with torch.no_grad():
        soft, text = (
            wrapper.log_probs(response_states(wrapper, [context], [[5, 6, 7]], embeds))
            for context, embeds in ((slot, prompt()), (hard, None))
        )
    assert torch.allclose(soft, text, atol=1e-5)


def test_random_starts_are_tokens(scaled: tuple[ModelWrapper, float]) -> None:
    wrapper, _ = scaled
    prompt = started(wrapper, num_soft_prompt_tokens=4)
    # torch.cdist multiplies: a distance of 0 is the root of a difference of rounded squares
    assert nearest_token_distance(wrapper, prompt(), prompt.mean_norm) < 1e-2
    assert nearest_token_distance(wrapper, 3 * prompt(), prompt.mean_norm) > 0.5
    assert 0.5 < prompt.norm_ratio() < 2
