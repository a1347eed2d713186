"""LoRA adapters, by peft; the only module that imports it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from softdiv.errors import PairError, did_you_mean
from softdiv.pair.load_deepspeed import name_accelerator
from softdiv.storage.atomic import write_json, write_tensors


def attach_adapter(model: Any, adapter: str) -> Any:
    """Put a LoRA adapter's layers into ``model`` (in place) and return the model.

    The base's weight tensors stay the same objects, so a model that shares them is untouched.

    Args:
        adapter: folder with ``adapter_config.json`` and ``adapter_model.safetensors``, or hub id.

    Raises:
        PairError: peft is missing, or there is no adapter for this model.
    """
    peft = _peft()
    folder = _folder(adapter)
    if not (folder / "adapter_model.safetensors").is_file():
        # peft would fall back to a pickle, which softdiv never opens
        raise PairError(f"{adapter} holds no adapter_model.safetensors")
    try:
        with _quiet():
            wrapped = peft.PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise PairError(f"adapter '{adapter}' cannot be loaded", why=first) from error
    return wrapped.get_base_model()


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
    peft = _peft()
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(target_modules), task_type="CAUSAL_LM"
    )
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
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
    tensors = _peft().get_peft_model_state_dict(adapter, save_embedding_layers=False)
    write_tensors(
        folder / "adapter_model.safetensors",
        {name: tensor.half() for name, tensor in sorted(tensors.items())},
        {"format": "pt", **(notes or {})},
    )
    config = adapter.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base_name, "inference_mode": True}
    write_json(folder / "adapter_config.json", config)


def _peft() -> Any:
    name_accelerator()
    # peft imports bitsandbytes, which misses a package of kernels on some CPUs and says so
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import peft
    except ImportError as error:
        raise PairError("LoRA adapters need peft", fix="pip install 'softdiv[lora]'") from error
    return peft


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # peft 0.21 reads an attribute that transformers 5.23 renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


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
