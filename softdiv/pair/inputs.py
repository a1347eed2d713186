"""Contexts of different lengths to one padded batch of embeddings, sharing a cached prefix."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor
from transformers import DynamicCache

from softdiv.errors import DataError
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper


@attrs.frozen
class PaddedRows:
    """B padded rows behind P cached positions.

    ``embeds [B, L, H]``, ``mask [B, P + L]``, ``positions [B, L]``, ``lengths [B]`` real
    positions of each row among L, ``cache`` holding the P positions (None when P = 0).
    """

    embeds: Tensor
    mask: Tensor
    positions: Tensor
    lengths: Tensor
    cache: DynamicCache | None

    @property
    def prefix_length(self) -> int:
        """P."""
        return self.mask.shape[1] - self.embeds.shape[1]


def common_prefix(contexts: Sequence[Context]) -> tuple[int, ...]:
    """Ids that every context starts with, leaving each at least one position of its own."""
    first = contexts[0].before
    length = min(
        len(context.before) - (0 if context.has_slot or context.after else 1)
        for context in contexts
    )
    for context in contexts[1:]:
        while first[:length] != context.before[:length]:
            length -= 1
    return first[: max(length, 0)]


@attrs.frozen
class Frame:
    """What the rows of one batch share. Some of its rows, run apart from the others but in the
    batch's frame, compute and keep what the batch would."""

    prefix: tuple[int, ...]
    """:func:`common_prefix`"""
    longest: int
    """positions of the longest row, its soft tokens included"""

    @classmethod
    def of(cls, contexts: Sequence[Context], soft: Tensor | None = None) -> Frame:
        """Of a whole batch; ``soft [k, H]`` goes into its slots."""
        return cls(common_prefix(contexts), _longest(contexts, soft))


def longest_answer(wrapper: ModelWrapper, frame: Frame, wanted: int) -> int:
    """Tokens, ``wanted`` at most, that the model's positions leave behind the longest context."""
    if wrapper.max_positions is None:
        return wanted
    return max(min(wanted, wrapper.max_positions + 1 - frame.longest), 1)


def kept_prefix(wrapper: ModelWrapper, contexts: Sequence[Context]) -> tuple[int, ...]:
    """The ids of a teacher-forced batch that come from the prefix cache: all that the rows share,
    short of what a sliding or chunked layer forgets (Llama 4 would not know where it stands)."""
    window = wrapper.window
    kept = common_prefix(contexts)[: None if window is None else max(window - 1, 0)]
    return kept if wrapper.keeps_cache else ()


def _longest(
    contexts: Sequence[Context],
    soft: Tensor | None,
    responses: Sequence[Sequence[int]] | None = None,
) -> int:
    slot = 0 if soft is None else len(soft)
    return max(
        len(context) + slot * context.has_slot + (len(responses[row]) if responses else 0)
        for row, context in enumerate(contexts)
    )


def assemble(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    *,
    soft: Tensor | None = None,
    responses: Sequence[Sequence[int]] | None = None,
    pad_left: bool,
    prefix: tuple[int, ...] | None = None,
) -> PaddedRows:
    """Build the inputs of one forward pass.

    Args:
        soft: ``[k, H]`` prompt put into every slot; gradients flow to it.
        responses: token ids appended to each row (teacher forcing).
        pad_left: left padding, for decoding; right padding, for teacher forcing.
        prefix: the ids to take from the prefix cache; by default :func:`kept_prefix`.

    Position ids skip the padding, so a row's values do not depend on its neighbours'
    lengths: ``[prefix][pad][before][soft][after][response]``.

    Raises:
        DataError: a row is longer than the model's positions.
    """
    longest = _longest(contexts, soft, responses)
    if wrapper.max_positions is not None and longest > wrapper.max_positions:
        raise DataError(
            f"{longest:,} tokens do not fit into the {wrapper.max_positions:,} positions of "
            f"{wrapper.name}",
            fix="shorten the prompt or the user text",
        )
    if prefix is None or not wrapper.keeps_cache:
        prefix = kept_prefix(wrapper, contexts)
    rows = []
    for row, context in enumerate(contexts):
        tail = list(context.after) + list(responses[row] if responses else ())
        pieces = [_embed(wrapper, context.before[len(prefix) :])]
        if context.has_slot:
            if soft is None:
                raise ValueError("a context with a slot needs a soft prompt")
            pieces.append(soft.to(pieces[0]))
        pieces.append(_embed(wrapper, tail))
        rows.append(torch.cat(pieces))
    lengths = torch.tensor([len(embedded) for embedded in rows], device=wrapper.device)
    embeds = torch.nn.utils.rnn.pad_sequence(
        rows, batch_first=True, padding_side="left" if pad_left else "right"
    )
    size = embeds.shape[1]
    index: Tensor = torch.arange(size, device=wrapper.device)[None]
    start = (size - lengths if pad_left else torch.zeros_like(lengths))[:, None]
    real = (index >= start) & (index < start + lengths[:, None])
    positions = (index - start).clamp(min=0) + len(prefix)
    mask = torch.cat([real.new_ones(len(rows), len(prefix)), real], dim=1).long()
    cache = wrapper.prefix_cache(prefix, len(rows)) if prefix else None
    return PaddedRows(embeds, mask, positions, lengths, cache)


def _embed(wrapper: ModelWrapper, ids: Sequence[int]) -> Tensor:
    return wrapper.embed(torch.tensor(ids, dtype=torch.long, device=wrapper.device))
