"""Several conversations in one row that compute their shared beginning once.

Every conversation starts with the same system message, a third of its tokens. Packed as
``[shared][rest 1][rest 2]...``, with each rest attending to the shared part and to itself,
and with positions as if it stood alone, a step costs a third less and has no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING

import attrs
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@attrs.frozen
class Conversation:
    """Token ids of a chat prompt and of its answer (with the end-of-turn token)."""

    prompt: list[int]
    response: list[int]


@attrs.frozen
class Packed:
    """One row of conversations: ids and positions `[1, L]`, mask `[1, 1, L, L]` (True = attends),
    `scored [N]`: positions whose next token is a response token, `targets [N]`: those tokens."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    mask: torch.Tensor
    scored: torch.Tensor
    targets: torch.Tensor


def conversation(tokenizer: PreTrainedTokenizerBase, text: str, response: list[int]) -> Conversation:
    return Conversation(chat_prompt(tokenizer, text), response)


def chat_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of the chat template around `text`, up to where the answer begins."""
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    return ids


def pack(conversations: Sequence[Conversation]) -> Packed:
    """Pack conversations into one row; with a single one nothing is shared and the row is plain."""
    shared = len(commonprefix([c.prompt for c in conversations]))
    ids = list(conversations[0].prompt[:shared])
    positions, owner = list(range(shared)), [-1] * shared
    scored: list[int] = []
    targets: list[int] = []
    for number, c in enumerate(conversations):
        rest = c.prompt[shared:] + c.response
        first = len(ids) + len(c.prompt) - shared - 1
        scored += range(first, first + len(c.response))
        targets += c.response
        ids += rest
        positions += range(shared, shared + len(rest))
        owner += [number] * len(rest)
    owners = torch.tensor(owner)
    same = (owners[:, None] == owners[None, :]) | (owners[None, :] == -1)
    mask = same & torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return Packed(
        torch.tensor([ids]), torch.tensor([positions]), mask[None, None], torch.tensor(scored), torch.tensor(targets)
    )
