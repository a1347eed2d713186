"""Whether a model's weights are what they were."""

from __future__ import annotations

import zlib
from typing import Any

import torch

from softdiv.pair.sharding import shard_of


def fingerprint(model: Any) -> dict[str, int]:
    """A checksum of the bits of every parameter and buffer, by name; about a second per GB.

    Of sharded models, as far as this rank holds them.
    """
    sums = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        part = shard_of(tensor).detach()
        if not part.is_meta:
            bits = part.cpu().contiguous().reshape(-1).view(torch.uint8)
            sums[name] = zlib.crc32(bits.numpy().data)
    return sums
