"""The space a soft prompt lives in: what the embedding module returns, never its raw table.

Gemma and XGLM multiply the table's rows inside ``embed_tokens``; others may do more.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from softdiv.pair.wrapper import ModelWrapper

CHUNK = 8192
"""Tokens embedded together: a vocabulary of 262,144 in fp32 would be most of a gigabyte."""


def vectors(wrapper: ModelWrapper, ids: Tensor) -> Tensor:
    """``[N]`` token ids to ``[N, H]`` fp32, no gradient."""
    with torch.no_grad():
        return wrapper.embed(ids.to(wrapper.device)).float()


def mean_norm(wrapper: ModelWrapper) -> float:
    """Mean norm of all tokens' vectors: the unit of a soft prompt's norms."""
    total = sum(float(part.norm(dim=-1).sum()) for part in _every_vector(wrapper))
    return total / wrapper.embedding_table.shape[0]


def nearest_token_distance(wrapper: ModelWrapper, soft: Tensor, unit: float) -> float:
    """Mean over soft tokens of the distance to the nearest token's vector.

    Args:
        soft: ``[k, H]``.
        unit: :func:`mean_norm`.
    """
    with torch.no_grad():
        values = soft.detach().float().to(wrapper.device)
        nearest = [torch.cdist(values, part).amin(dim=1) for part in _every_vector(wrapper)]
        return float(torch.stack(nearest).amin(dim=0).mean()) / unit


def _every_vector(wrapper: ModelWrapper) -> Iterator[Tensor]:
    ids = torch.arange(wrapper.embedding_table.shape[0], device=wrapper.device)
    return (vectors(wrapper, part) for part in ids.split(CHUNK))
