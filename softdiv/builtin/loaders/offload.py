"""Frozen decoder layers in CPU memory, brought to the device one at a time (by accelerate)."""

from __future__ import annotations

from typing import Any

from torch import nn

from softdiv.errors import PairError


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
    layers = _decoder_layers(model)
    inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in inside:
                module._parameters[name] = nn.Parameter(parameter.to(device), requires_grad=False)
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = buffer.to(device)
    model.tie_weights()
    for layer in layers:
        accelerate.cpu_offload(layer, execution_device=device)


def _decoder_layers(model: Any) -> list[nn.Module]:
    lists = [m for m in model.base_model.modules() if isinstance(m, nn.ModuleList) and len(m)]
    if not lists:
        kind = model.config.model_type
        raise PairError(f"offload: the layers of a {kind} model are not found")
    largest: nn.ModuleList = max(lists, key=lambda m: sum(p.numel() for p in m.parameters()))
    return list(largest)
