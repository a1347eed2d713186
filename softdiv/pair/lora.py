"""LoRA adapters, by peft; the only module that imports it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch

from softdiv.errors import PairError, did_you_mean


def attach_adapter(model: Any, adapter: str) -> Any:
    """Put a LoRA adapter's layers into ``model`` (in place) and return the model.

    The base's weight tensors stay the same objects, so a model that shares them is untouched.

    Args:
        adapter: folder with ``adapter_config.json`` and ``adapter_model.safetensors``, or hub id.

    Raises:
        PairError: peft is missing, or there is no adapter for this model.
    """
    if not torch.cuda.is_available():
        # peft imports DeepSpeed where it is installed, which then announces that it found no GPU
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    try:
        from peft import PeftModel
    except ImportError as error:
        raise PairError("LoRA adapters need peft", fix="pip install 'softdiv[lora]'") from error
    folder = _folder(adapter)
    if not (folder / "adapter_model.safetensors").is_file():
        # peft would fall back to a pickle, which softdiv never opens
        raise PairError(f"{adapter} holds no adapter_model.safetensors")
    try:
        with warnings.catch_warnings():
            # peft 0.21 reads an attribute that transformers 5.23 renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            wrapped = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise PairError(f"adapter '{adapter}' cannot be loaded", why=first) from error
    return wrapped.get_base_model()


def _folder(adapter: str) -> Path:
    """The adapter's folder; a hub id is downloaded, safetensors and config only."""
    folder = Path(adapter)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or adapter.count("/") != 1 or folder.parent.is_dir():
        nearby = [p.name for p in folder.parent.glob("*")] if folder.parent.is_dir() else []
        raise PairError(
            f"adapter folder {adapter} does not exist", fix=did_you_mean(folder.name, nearby)
        )
    from huggingface_hub import snapshot_download

    wanted = ["adapter_config.json", "adapter_model.safetensors"]
    try:
        return Path(snapshot_download(adapter, allow_patterns=wanted))
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise PairError(f"adapter '{adapter}' cannot be downloaded", why=first) from error
