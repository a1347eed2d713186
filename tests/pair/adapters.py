"""Adapters made with peft itself."""

from __future__ import annotations

import copy
import itertools
import warnings
from pathlib import Path
from typing import Any

import peft
import torch

from softdiv.builtin.loaders.tiny import TinyLoader


def base(architecture: Any = "llama") -> Any:
    """The model that the adapters are made for: the same each time."""
    return TinyLoader(architecture=architecture).load("cpu")[0]


def make(folder: Path, config: peft.PeftConfig, model: Any = None) -> Path:
    """An adapter that does something, saved as peft saves it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft has much to say about itself
        wrapped = peft.get_peft_model(base() if model is None else model, config)
        torch.manual_seed(5)
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
        wrapped.save_pretrained(folder)
    return folder


def lora(**options: Any) -> peft.LoraConfig:
    """A configuration of peft's; ``q_proj`` unless it says otherwise."""
    defaults: dict[str, Any] = {"task_type": "CAUSAL_LM", "r": 4, "target_modules": ["q_proj"]}
    return peft.LoraConfig(**(defaults | options))


def plain(folder: Path, model: Any = None) -> Any:
    """The adapter on a fresh base, by peft alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fresh = base() if model is None else model
        return peft.PeftModel.from_pretrained(fresh, str(folder)).eval()


def sharing(model: Any) -> Any:
    """A second module tree over the same tensors."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, memo={id(tensor): tensor for tensor in tensors})


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    """Of a few tokens."""
    found: torch.Tensor = model(input_ids=torch.tensor([[3, 4, 5, 6, 7]])).logits
    return found
