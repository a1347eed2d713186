"""A stranger's model folder, before anything of it is loaded: complete, whole, and no code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from softdiv.errors import PairError
from softdiv.storage.stranger import (
    StoredTensor,
    read_object,
    read_stored,
    shards,
    stored_tensors,
)

from .tokenizer import refuse_pointers

ONE_FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5")
OBJECTS = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
MOST_PARTS = 100_000
"""Layers, heads or experts; 16,384 small experts are the most that any architecture has."""
COUNTS = re.compile(r"(layer|expert|head|block)s?\Z")


@attrs.frozen
class ModelFolder:
    """What a folder holds, from its configuration and the headers of its weight files."""

    name: str
    """what the user calls the model"""
    path: Path
    config: Mapping[str, Any]
    """config.json as it is written"""
    tensors: Mapping[str, StoredTensor]
    """of all weight files, by name"""

    @property
    def quantised(self) -> str | None:
        """How its weights were quantised before, e.g. ``bitsandbytes``; None for plain numbers."""
        settings = self.config.get("quantization_config")
        if not isinstance(settings, Mapping):
            return None
        return str(settings.get("quant_method") or "bitsandbytes")

    @property
    def size(self) -> int:
        """Bytes of the weight files."""
        return sum(file.stat().st_size for file in {t.file for t in self.tensors.values()})


def inspected(
    folder: Path, name: str, *, needs_tokenizer: bool = True, weights: bool = True
) -> ModelFolder:
    """What ``folder`` holds, or why it cannot be loaded. No weight is read.

    Args:
        name: what the user calls the model, e.g. a hub id.
        needs_tokenizer: whether the tokenizer is taken from here.
        weights: False where they were not downloaded, for an estimate.

    Raises:
        PairError: it is an adapter, lacks files, holds damaged ones or pickles only, or its
            configuration is none.
    """
    if (folder / "adapter_config.json").is_file():
        raise _holds_adapter(folder, name)
    if not (folder / "config.json").is_file():
        raise PairError(
            f"{name} holds no model",
            why="it has no config.json",
            fix="give a folder that save_pretrained wrote, a GGUF file, or a hub id",
        )
    config = read_object(folder / "config.json")
    _sizes(folder / "config.json", config)
    _ends(folder / "config.json", config)
    for file in (folder / name for name in OBJECTS):
        if file.is_file():
            _ends(file, read_object(file))
    if needs_tokenizer:
        refuse_pointers(folder)
    tensors: dict[str, StoredTensor] = {}
    for file in _weight_files(folder, name, config) if weights else ():
        held = stored_tensors(file)
        for twice in tensors.keys() & held.keys():
            if not torch.equal(read_stored(tensors[twice], twice), read_stored(held[twice], twice)):
                raise PairError(
                    f"{name} holds {twice} twice, with different values",
                    why=f"in {tensors[twice].file.name} and {file.name}",
                    fix="download it again, or save it again",
                )
        tensors |= held
    if weights and not tensors:
        raise PairError(f"{name} holds no weights", why="its files hold no tensors")
    return ModelFolder(name, folder, config, tensors)


def _holds_adapter(folder: Path, name: str) -> PairError:
    if (folder / "config.json").is_file():
        return PairError(
            f"{name} holds a model and an adapter",
            why="which of them is meant is not said",
            fix="move one of them into a folder of its own; an adapter is given as --adapter",
        )
    return PairError(
        f"{name} is a LoRA adapter, not a model",
        fix=f"give it as --adapter {name} beside its base (in a config: adapter = ...)",
    )


def _weight_files(folder: Path, name: str, config: Mapping[str, Any]) -> list[Path]:
    if any(folder.glob("shard-*.safetensors")):
        raise PairError(
            f"{name} holds a checkpoint of a distributed training",
            fix="save the model as a whole: save_pretrained without distributed_checkpoint",
        )
    if "transformers_weights" in config:
        raise PairError(
            f"{folder / 'config.json'} names its weight files itself (transformers_weights)",
            fix=f"remove the key; the weights are {ONE_FILE} or the files of {INDEX}",
        )
    one = [folder / ONE_FILE] if (folder / ONE_FILE).is_file() else []
    files = shards(folder / INDEX) if (folder / INDEX).is_file() else one
    if one and files != one:
        raise PairError(
            f"{name} holds two sets of weights",
            why=f"{ONE_FILE}, and the {len(files)} files of {INDEX}",
            fix="move the one that is not meant elsewhere",
        )
    if files:
        return files
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        raise PairError(
            f"{name} holds its weights as {pickles[0]} only",
            why="softdiv opens safetensors only, never a pickle",
            fix="load it with transformers where you trust it, and save_pretrained anew",
        )
    others = sorted(file.name for file in folder.glob("*.safetensors"))
    raise PairError(
        f"{name} holds no weights",
        why=f"neither {ONE_FILE} nor {INDEX}" + (f", but {others[0]}" if others else ""),
        fix="download them too, or rename the file",
    )


def _ends(file: Path, table: Mapping[str, Any]) -> None:
    """Raises PairError if the tokens that end an answer are no token ids."""
    value = table.get("eos_token_id")
    if any(type(one) is not int for one in (value if isinstance(value, list) else [value or 0])):
        raise PairError(f"{file}: eos_token_id = {value!r} is no token id, nor a list of them")


def _sizes(file: Path, config: Mapping[str, Any]) -> None:
    """Raises PairError for counts no model has: transformers would build as many modules."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            _sizes(file, value)
        elif COUNTS.search(key) and isinstance(value, int) and value > MOST_PARTS:
            raise PairError(f"{file}: {key} = {value:,} is no size of a language model")
