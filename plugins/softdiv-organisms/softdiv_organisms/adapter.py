"""A fresh LoRA, and how it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from softdiv.errors import PairError
from softdiv.pair.lora import load_peft, quiet
from softdiv.storage.atomic import write_json, write_tensors

ADAPTER = "adapter_model.safetensors"


def new_adapter(
    model: Any, *, rank: int, alpha: int, target_modules: Sequence[str], seed: int
) -> Any:
    """Put a fresh LoRA into ``model`` (in place), its weights trainable and nothing else.

    At first it changes nothing: one of its two factors is zero.

    Returns:
        The handle that :func:`save_adapter` takes.

    Raises:
        PairError: peft is missing, or the model has none of the target modules.
    """
    peft = load_peft()
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(target_modules), task_type="CAUSAL_LM"
    )
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return peft.get_peft_model(model, config)
    except ValueError as error:
        raise PairError("this model cannot take the adapter", why=str(error)) from error


def save_adapter(
    adapter: Any, folder: Path, *, base_name: str, notes: Mapping[str, str] | None = None
) -> None:
    """Write the adapter in peft's format, weights in fp16.

    Args:
        base_name: what ``adapter_config.json`` calls the base, instead of the path it came from.
        notes: kept in the safetensors header.
    """
    tensors = load_peft().get_peft_model_state_dict(adapter, save_embedding_layers=False)
    write_tensors(
        folder / ADAPTER,
        {name: tensor.half() for name, tensor in sorted(tensors.items())},
        {"format": "pt", **(notes or {})},
    )
    config = adapter.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base_name, "inference_mode": True}
    write_json(folder / "adapter_config.json", config)
