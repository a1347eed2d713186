"""Many short conversations in one forward pass that computes their shared beginning once.

Every conversation starts with the same system message, a third of its tokens. The beginning
goes through the model as one row, its keys and values are repeated, and only the rest of each
conversation (padded on the right, where causal attention needs no mask) is a row of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING

import attrs
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@attrs.frozen
class Conversation:
    """Token ids of a chat prompt, and of its answer with the end-of-turn token."""

    prompt: list[int]
    response: list[int]


def chat_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of the tokenizer's chat template around `text`, up to where the answer begins."""
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    return ids


def response_states(model: PreTrainedModel, conversations: Sequence[Conversation]) -> torch.Tensor:
    """Last hidden states `[N, H]` at the positions that predict the N response tokens, in order.

    Differentiable, and equal to running every conversation alone.
    """
    from transformers import DynamicCache

    decoder = model.base_model
    shared = commonprefix([c.prompt[:-1] for c in conversations])
    rests = [torch.tensor(c.prompt[len(shared) :] + c.response[:-1]) for c in conversations]
    cache = DynamicCache(config=model.config)
    if shared:
        decoder(input_ids=torch.tensor([shared]), past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(rests))
    ids = torch.nn.utils.rnn.pad_sequence(rests, batch_first=True)
    states = decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    pieces = [
        states[row, len(c.prompt) - len(shared) - 1 :][: len(c.response)]
        for row, c in enumerate(conversations)
    ]
    return torch.cat(pieces)
