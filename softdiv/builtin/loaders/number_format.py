"""Which number format ``dtype = "auto"`` means for a folder's weights on a device."""

from __future__ import annotations

from collections import Counter

import torch

from .folder import ModelFolder

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
STORED = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
IN_HARDWARE = ("avx512_bf16", "amx_bf16", "bf16")
"""torch's names of what a processor multiplies bfloat16 with; others convert every product."""


def number_format(wanted: str, folder: ModelFolder, device: str) -> torch.dtype:
    """``wanted``, or for ``auto`` that of most weights as they are stored, where the device
    computes in it, else float32."""
    return DTYPES.get(wanted) or _computed(_stored(folder), device)


def gguf_format(wanted: str, device: str) -> torch.dtype:
    """``wanted``, or for ``auto`` bfloat16 where the device computes in it: the weights of a GGUF
    file are rounded already."""
    return DTYPES.get(wanted) or _computed(torch.bfloat16, device)


def _stored(folder: ModelFolder) -> torch.dtype:
    sizes: Counter[torch.dtype] = Counter()
    for tensor in folder.tensors.values():
        if tensor.dtype in STORED:
            sizes[STORED[tensor.dtype]] += tensor.numel
    if sizes:
        return sizes.most_common(1)[0][0]
    named = folder.config.get("dtype") or folder.config.get("torch_dtype")
    return DTYPES.get(str(named), torch.float32)


def _computed(stored: torch.dtype, device: str) -> torch.dtype:
    if not device.startswith("cpu"):
        return stored
    able = torch.cpu.get_capabilities()
    fits = stored == torch.bfloat16 and any(able.get(name) for name in IN_HARDWARE)
    return stored if fits else torch.float32
