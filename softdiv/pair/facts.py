"""What a loaded model is: size, number formats, head. For ``softdiv pairs check`` and the logs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import torch

from softdiv.pair.checks import heads_are_tied
from softdiv.pair.wrapper import ModelWrapper


@attrs.frozen(kw_only=True)
class ModelFacts:
    """One model of a pair."""

    architecture: str
    """transformers' model type, e.g. ``llama``"""
    parameters: int
    bytes: int
    """of all parameters and buffers, each tensor once"""
    shared_bytes: int
    """of those, in tensors that the other model holds too"""
    dtypes: tuple[str, ...]
    """most bytes first"""
    devices: tuple[str, ...]
    hidden_size: int
    head_rows: int
    tied_head: bool
    soft_cap: float | None
    """largest |logit| (Gemma 2), None without"""
    quantised_layers: int


def model_facts(wrapper: ModelWrapper, other: ModelWrapper) -> ModelFacts:
    """Facts of ``wrapper``, whose pair's other half is ``other``."""
    model, config = wrapper.model, wrapper.model.config
    tensors = _tensors(model)
    shared = _tensors(other.model).keys() & tensors.keys()
    formats: Counter[str] = Counter()
    for tensor in tensors.values():
        formats[str(tensor.dtype).removeprefix("torch.")] += tensor.nbytes
    return ModelFacts(
        architecture=str(config.model_type),
        parameters=sum(p.numel() for p in model.parameters()),
        bytes=sum(t.nbytes for t in tensors.values()),
        shared_bytes=sum(tensors[key].nbytes for key in shared),
        dtypes=tuple(name for name, _ in formats.most_common()),
        devices=tuple(sorted({str(t.device) for t in tensors.values()})),
        hidden_size=wrapper.hidden_size,
        head_rows=int(model.get_output_embeddings().weight.shape[0]),
        tied_head=heads_are_tied(model),
        soft_cap=getattr(config, "final_logit_softcapping", None),
        quantised_layers=sum(
            hasattr(m.weight, "quant_state") or hasattr(m.weight, "SCB")
            for m in model.modules()
            if hasattr(m, "weight")
        ),
    )


def _tensors(model: Any) -> dict[int, torch.Tensor]:
    """Every parameter and buffer once, by the identity of its memory."""
    found = {}
    for tensor in (*model.parameters(), *model.buffers()):
        found[tensor.data_ptr() or id(tensor)] = tensor
    return found
