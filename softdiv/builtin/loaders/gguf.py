"""GGUF files as safetensors folders: converted once, by transformers, and checked."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from softdiv.errors import PairError
from softdiv.pair.foreign import translated
from softdiv.pair.load_deepspeed import name_accelerator
from softdiv.storage.atomic import sha256_file
from softdiv.storage.cache import cached_folder

from .complete import bounded_modules, check_before
from .folder import ModelFolder
from .gguf_header import GgufHeader, read_header
from .kinds import auto_class

UNREAD = "transformers does not read it, and every position would be computed wrongly"
ORIGINAL = "give the model as safetensors, as its authors published it"


def converted(file: Path) -> Path:
    """``file`` as a folder that ``from_pretrained`` takes, in fp32; kept by its content's hash.

    About 17 s the first time for 135M parameters.

    Raises:
        PairError: it is no whole GGUF file, or transformers cannot read all of it.
    """
    header = read_header(file)

    def build(target: Path) -> None:
        with _alone(file) as folder, translated(f"{file} cannot be converted", ORIGINAL):
            config, auto, _ = _described(folder, header)
            read, found = auto.from_pretrained(
                folder,
                gguf_file=file.name,
                dtype=torch.float32,
                output_loading_info=True,
                trust_remote_code=False,
            )
            if left := sorted({*found["missing_keys"], *found["unexpected_keys"]}):
                raise PairError(
                    f"{file} cannot be converted",
                    why=f"{len(left)} tensors have no counterpart, e.g. {left[0]}",
                    fix=ORIGINAL,
                )
            config = copy.deepcopy(read.config)
            if hasattr(config, "quantization_config"):
                del config.quantization_config  # they are plain fp32 now; transformers says not
            model = auto.from_config(config, trust_remote_code=False)
            model.load_state_dict(read.state_dict())
            model.generation_config = read.generation_config
            name_accelerator()  # saving imports DeepSpeed
            model.save_pretrained(target)
            _tokenizer(folder, file.name).save_pretrained(target)

    return cached_folder(f"gguf/{sha256_file(file)}", build)


def described(file: Path) -> Any:
    """The model on the ``meta`` device. Raises PairError as :func:`converted` does."""
    header = read_header(file)
    with _alone(file) as folder, translated(f"{file} cannot be converted", ORIGINAL):
        return _described(folder, header)[2]


def _described(folder: Path, header: GgufHeader) -> tuple[Any, Any, Any]:
    """transformers' configuration, its class, and the model without weights."""
    file, tensors = header.file, dict(header.tensors)
    blocks = header.values.get(f"{header.values.get('general.architecture')}.block_count", 0)
    if not isinstance(blocks, int) or blocks > len(tensors):
        raise PairError(f"{file} is damaged", why=f"{blocks} blocks of {len(tensors)} tensors")
    _refuse_unread(header)
    config = _configuration(folder, header)
    auto = auto_class(config, str(file), [])
    held = ModelFolder(str(file), file.parent, {}, tensors)
    with bounded_modules(held), torch.device("meta"):
        model = auto.from_config(config, trust_remote_code=False)
    check_before(model, held)
    stored = sum(tensor.numel for tensor in tensors.values())
    places = sum(parameter.numel() for parameter in model.parameters())
    if stored != places:
        raise PairError(
            f"{file} cannot be converted",
            why=f"it holds {stored:,} numbers, transformers' {config.model_type} takes {places:,}",
            fix=ORIGINAL,
        )
    return config, auto, model


def _configuration(folder: Path, header: GgufHeader) -> Any:
    """Kept by the header's hash: transformers reads the whole vocabulary for it, several seconds
    that `--dry-run` would take for each model."""
    import transformers

    def build(target: Path) -> None:
        transformers.AutoConfig.from_pretrained(
            folder, gguf_file=header.file.name, trust_remote_code=False
        ).save_pretrained(target)

    key = f"gguf-config/{header.sha256}-{transformers.__version__}"
    return transformers.AutoConfig.from_pretrained(
        cached_folder(key, build), trust_remote_code=False
    )


def _refuse_unread(header: GgufHeader) -> None:
    """Raises PairError for what says how positions turn and is silently left out."""
    ropes = [name for name in header.tensors if name.startswith("rope_")]
    ropes += [
        f"{key} = {value}"
        for key, value in header.values.items()
        if key.endswith(".rope.scaling.type") and value != "none"
    ]
    if ropes:
        raise PairError(f"{header.file} holds {ropes[0]}", why=UNREAD, fix=ORIGINAL)


def _tokenizer(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, gguf_file=name, trust_remote_code=False)


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """A folder with the GGUF file only: what lies beside it is not part of it."""
    with tempfile.TemporaryDirectory(prefix="softdiv-") as folder:
        (Path(folder) / file.name).symlink_to(file.resolve())
        yield Path(folder)
