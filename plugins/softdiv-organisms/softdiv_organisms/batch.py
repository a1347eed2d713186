"""Many short conversations in one forward pass that computes their shared beginning once.

Every conversation starts with the same system message, a third of its tokens. The beginning
goes through the model as one row, its keys and values are repeated, and only the rest of each
conversation is a row of the batch, padded on the right, where causal attention needs no mask.
Unlike :func:`softdiv.pair.teacher_forcing.response_states` nothing is kept between calls, so
gradients reach the adapter through the shared beginning too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from transformers import DynamicCache


@attrs.frozen
class TokenisedChat:
    """Token ids of a chat prompt, and of its answer with the end-of-turn token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def answer_states(model: Any, conversations: Sequence[TokenisedChat]) -> Tensor:
    """Last hidden states ``[N, H]`` at the positions that predict the N answer tokens, in order.

    Differentiable in the model's weights, and equal to running every conversation alone.
    """
    device = model.get_input_embeddings().weight.device
    shared = _common_prefix([c.prompt[:-1] for c in conversations])
    rests = [
        torch.tensor([*c.prompt[len(shared) :], *c.answer[:-1]], device=device)
        for c in conversations
    ]
    cache = DynamicCache(config=model.config)
    if shared:
        ids = torch.tensor([shared], device=device)
        model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(rests))
    padded = torch.nn.utils.rnn.pad_sequence(rests, batch_first=True)
    out = model.base_model(input_ids=padded, past_key_values=cache, use_cache=True)
    pieces = []
    for row, conversation in enumerate(conversations):
        first = len(conversation.prompt) - len(shared) - 1
        pieces.append(out.last_hidden_state[row, first : first + len(conversation.answer)])
    return torch.cat(pieces)


def _common_prefix(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    columns = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))
    return tuple(column[0] for column in columns)
