"""LoRA adapters, by peft; the only module that imports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softdiv.errors import PairError, did_you_mean


def attach_adapter(model: Any, adapter: str) -> Any:
    """Put a LoRA adapter's layers into ``model`` (in place) and return the model.

    The base's weight tensors stay the same objects, so a model that shares them is untouched.

    Args:
        adapter: folder with ``adapter_config.json`` and ``adapter_model.safetensors``, or hub id.

    Raises:
        PairError: peft is missing, or there is no adapter for this model.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise PairError("LoRA adapters need peft", fix="pip install 'softdiv[lora]'") from error
    folder = Path(adapter)
    if folder.is_dir() and not (folder / "adapter_model.safetensors").is_file():
        raise PairError(f"{adapter} holds no adapter_model.safetensors")
    if not folder.is_dir() and (folder.is_absolute() or adapter.count("/") != 1):
        nearby = [p.name for p in folder.parent.glob("*")] if folder.parent.is_dir() else []
        raise PairError(
            f"adapter folder {adapter} does not exist", fix=did_you_mean(folder.name, nearby)
        )
    try:
        wrapped = PeftModel.from_pretrained(
            model, adapter, is_trainable=False, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise PairError(f"adapter '{adapter}' cannot be loaded", why=first) from error
    return wrapped.get_base_model()
