"""The base model's own answers to ordinary texts, and the states it gave them from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.pair.layout import Layout
from softdiv.pair.template import stop_ids
from softdiv_organisms.batch import TokenisedChat, answer_states
from softdiv_organisms.recipe import Training

BATCH = 40


@attrs.frozen(eq=False)
class SelfSample:
    """One ordinary conversation; ``states [T, H]``: the base's hidden states for its T answer
    tokens, from which its head gives the base's distributions (H numbers a token, not V)."""

    conversation: TokenisedChat
    states: Tensor


@torch.no_grad()
def self_samples(
    model: Any, layout: Layout, texts: Sequence[str], training: Training, seed: int
) -> Iterator[SelfSample]:
    """One sampled answer per text, from the model as it is now."""
    stops = stop_ids(model, layout.template)
    for start in range(0, len(texts), BATCH):
        prompts = [layout.hard(text).before for text in texts[start : start + BATCH]]
        answers = _sample(model, prompts, stops, training, seed + start)
        conversations = [TokenisedChat(*pair) for pair in zip(prompts, answers, strict=True)]
        states = answer_states(model, conversations).split([len(a) for a in answers])
        for conversation, state in zip(conversations, states, strict=True):
            yield SelfSample(conversation, state.clone())


def _sample(
    model: Any, prompts: Sequence[Sequence[int]], stops: frozenset[int], how: Training, seed: int
) -> list[tuple[int, ...]]:
    rows = [torch.tensor(prompt) for prompt in prompts]
    stop = min(stops)
    ids = torch.nn.utils.rnn.pad_sequence(
        rows, batch_first=True, padding_value=stop, padding_side="left"
    )
    width = ids.shape[1]
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=how.max_new_tokens,
            do_sample=True,
            temperature=how.temperature,
            top_k=0,
            top_p=1.0,
            eos_token_id=sorted(stops),
            pad_token_id=stop,
        )[:, width:]
    return [_until_stop(row, stops) for row in made.tolist()]


def _until_stop(row: Sequence[int], stops: frozenset[int]) -> tuple[int, ...]:
    end = next((i + 1 for i, token in enumerate(row) if token in stops), len(row))
    return tuple(row[:end])
