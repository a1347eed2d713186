"""What a body multiplies the embeddings of token ids by, and those that it is given not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softdiv.pair.layers import body_of


@torch.no_grad()
def scale_of_ids(model: Any, ids: Tensor, states: Tensor, tolerance: float) -> float:
    """Falcon-H1 and MVP do so outside their embedding module; most models multiply by 1.

    Args:
        ids: ``[1, L]``.
        states: ``[1, L, H]``, the body's for them.
        tolerance: largest difference of a state, relative to the largest state.

    Returns:
        The factor that gives these states; 1 where none of the known ones does.
    """
    config = model.config.get_text_config()
    embedded = model.get_input_embeddings()(ids)
    known = (1.0, getattr(config, "embedding_multiplier", None), embedded.shape[-1] ** 0.5)
    for factor in (factor for factor in known if factor):
        try:
            given = body_of(model)(inputs_embeds=factor * embedded, use_cache=False)
        except Exception:  # it takes no embeddings: the self-check says so, and how
            return 1.0
        far = (given.last_hidden_state - states).abs().max()
        if float(far) <= tolerance * float(states.abs().max()):
            return float(factor)
    return 1.0
