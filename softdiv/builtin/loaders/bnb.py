"""bitsandbytes' quantised layers: the only place that imports it.

Dettmers et al. 2022, "LLM.int8()", https://arxiv.org/abs/2208.07339; Dettmers et al. 2023,
"QLoRA" (nf4), https://arxiv.org/abs/2305.14314.
"""

from __future__ import annotations

import logging
from typing import Any

import torch

from softdiv.errors import PairError

BNB_KINDS = ("bnb-int8", "bnb-nf4", "bnb-fp4")


def loading_options(kind: str | None, dtype: torch.dtype | None, device: str) -> dict[str, Any]:
    """What ``from_pretrained`` needs for this kind; nothing for other kinds.

    Raises:
        PairError: bitsandbytes is missing.
    """
    if kind not in BNB_KINDS:
        return {}
    require_bitsandbytes(f'quantize = "{kind}"')
    from transformers import BitsAndBytesConfig

    if kind == "bnb-int8":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=kind.removeprefix("bnb-"),
            bnb_4bit_compute_dtype=dtype or torch.bfloat16,
        )
    return {"quantization_config": config, "device_map": {"": device}}


def require_bitsandbytes(what: str) -> None:
    """Raises PairError if bitsandbytes is missing; transformers' own message is a page long."""
    # a line when imported on some CPUs, and one per forward pass about casting inputs
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise PairError(f"{what} needs bitsandbytes", fix="pip install 'softdiv[quant]'") from error


def after_loading(model: Any) -> Any:
    """The model, kept from repacking its weights.

    On CPUs with AVX512-bf16 one forward pass in eval mode under ``no_grad`` repacks 4-bit
    weights, and every later gradient is silently wrong.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model
