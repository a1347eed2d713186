"""Frozen decoder layers in CPU memory, brought to the device one at a time (by accelerate)."""

from __future__ import annotations

from typing import Any

from softdiv.errors import PairError
from softdiv.pair.layers import decoder_layers, replace_the_rest


def offload_layers(model: Any, device: str) -> None:
    """Put accelerate's hooks on every decoder layer; embeddings, norms and head stay on ``device``.

    With ``training.gradient_checkpointing`` the layers are brought again in the backward pass;
    without it the graph keeps them all on the device until then.

    Raises:
        PairError: accelerate is missing, or the model keeps its layers in no list.
    """
    try:
        import accelerate
    except ImportError as error:
        raise PairError("offload needs accelerate", fix="pip install accelerate") from error
    replace_the_rest(model, lambda tensor: tensor.to(device))
    for layer in decoder_layers(model):
        accelerate.cpu_offload(layer, execution_device=device)
