"""A causal model as two parts: its decoder layers, most of the weights, and all the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from softdiv.errors import PairError


def body_of(model: Any) -> Any:
    """All of a causal model but its head.

    transformers' ``base_model`` is the model itself where its class names another attribute than
    it has (Llama 4, Mllama): then it is the part that holds the input embeddings.

    Raises:
        PairError: the model has no such part.
    """
    if model.base_model is not model:
        return model.base_model
    embeddings = model.get_input_embeddings()
    for part in model.children():
        if part is not embeddings and any(module is embeddings for module in part.modules()):
            return part
    raise PairError(
        f"a {model.config.model_type} model is not a causal language model with a separate head"
    )


def decoder_layers(model: Any) -> list[nn.Module]:
    """In the order they run.

    Raises:
        PairError: the model keeps its layers in no list.
    """
    lists = [m for m in body_of(model).modules() if isinstance(m, nn.ModuleList) and len(m)]
    if not lists:
        raise PairError(f"the layers of a {model.config.model_type} model are not found")
    largest: nn.ModuleList = max(lists, key=lambda m: sum(p.numel() for p in m.parameters()))
    return list(largest)


def replace_the_rest(model: Any, whole: Callable[[Tensor], Tensor]) -> None:
    """Replace embeddings, norms, head and their buffers by what ``whole`` makes of each.

    Tensors that stand in several places are replaced by one.
    """
    layers = decoder_layers(model)
    inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in inside:
                continue
            if id(parameter) not in made:
                made[id(parameter)] = nn.Parameter(whole(parameter), requires_grad=False)
            module._parameters[name] = made[id(parameter)]
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = whole(buffer)
    model.tie_weights()
