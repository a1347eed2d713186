"""What a loaded model is: size, number formats, head. For ``softdiv pairs check`` and the logs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from softdiv.pair.checks import heads_are_tied
from softdiv.pair.wrapper import ModelWrapper


def model_facts(wrapper: ModelWrapper, other: ModelWrapper) -> list[tuple[str, str]]:
    """Labels and facts of ``wrapper``, whose pair's other half is ``other``."""
    model, config = wrapper.model, wrapper.model.config
    tensors = _tensors(model)
    shared = sum(tensors[key].nbytes for key in _tensors(other.model).keys() & tensors.keys())
    formats: Counter[str] = Counter()
    for tensor in tensors.values():
        formats[str(tensor.dtype).removeprefix("torch.")] += tensor.nbytes
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    size = sum(formats.values()) / 1e6
    numbers = ", ".join(name for name, _ in formats.most_common())
    devices = ", ".join(sorted({str(t.device) for t in tensors.values()}))
    packed = sum(
        hasattr(m.weight, "quant_state") or hasattr(m.weight, "SCB")
        for m in model.modules()
        if hasattr(m, "weight")
    )
    rows = int(model.get_output_embeddings().weight.shape[0])
    head = "tied to the embeddings" if heads_are_tied(model) else "separate"
    cap = getattr(config, "final_logit_softcapping", None)  # of Gemma 2
    return [
        ("model", f"{config.model_type}, {parameters:,.1f}M parameters"),
        ("memory", f"{size:,.1f} MB, {shared / 1e6:,.1f} MB shared"),
        ("numbers", f"{numbers} on {devices}" + (f", {packed} quantised layers" if packed else "")),
        (
            "head",
            f"{rows:,} rows of {wrapper.hidden_size}, {head}"
            + (f", logits capped at {cap:g}" if cap else ""),
        ),
    ]


def _tensors(model: Any) -> dict[int, torch.Tensor]:
    """Every parameter and buffer once, by the identity of its memory."""
    found = {}
    for tensor in (*model.parameters(), *model.buffers()):
        found[tensor.data_ptr() or id(tensor)] = tensor
    return found
