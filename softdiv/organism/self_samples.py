"""The base model's own answers to ordinary texts, and the states it gave them from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.organism.batch import Conversation, answer_states
from softdiv.pair.layout import Layout, stop_ids
from softdiv.pair.sampling import Sampling, draw, uniform_rows

BATCH = 40


@attrs.frozen(eq=False)
class SelfSample:
    """One ordinary conversation; ``states [T, H]``: the base's hidden states for its T answer
    tokens, from which the head gives the base's distributions (H numbers a token, not V)."""

    conversation: Conversation
    states: Tensor


@torch.no_grad()
def self_samples(
    model: Any, layout: Layout, texts: Sequence[str], *, longest: int, temperature: float, seed: int
) -> list[SelfSample]:
    """Sample one answer of at most ``longest`` tokens per text."""
    samples = []
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        prompts = [layout.hard(text).before for text in part]
        uniforms = uniform_rows([f"self-sample {text}" for text in part], seed, longest)
        answers = _answers(model, layout, prompts, uniforms, Sampling(temperature=temperature))
        conversations = [Conversation(*pair) for pair in zip(prompts, answers, strict=True)]
        states = answer_states(model, conversations).split([len(a) for a in answers])
        samples += [SelfSample(*pair) for pair in zip(conversations, states, strict=True)]
    return samples
