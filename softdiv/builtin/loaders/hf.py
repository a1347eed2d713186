"""Loader ``hf``: a folder, a hub id, an installed package's folder, a GGUF file, a LoRA adapter."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from attrs.validators import ge, optional

from softdiv.errors import PairError
from softdiv.pair.adapter import Adapter, opened
from softdiv.pair.foreign import translated
from softdiv.pair.free_memory import free_memory
from softdiv.pair.lora import attach_adapter, merge_adapter
from softdiv.pair.sharding import in_shards, is_sharded

from .bnb import BNB_KINDS, after_loading, loading_options, require_bitsandbytes
from .complete import bounded_modules, check_after, check_before, unplaced
from .folder import ModelFolder, inspected
from .gguf import converted, described
from .kinds import auto_class
from .number_format import gguf_format, number_format
from .offload import offload_layers
from .quantize import add_noise, matrices, quantize_matrices
from .source import Source, located
from .tokenizer import has_tokenizer, load_tokenizer

MOST_ROUNDED = 0.2
"""Of an adapter's change, by norm: beyond it, ``merge_adapter = "auto"`` leaves it beside the base.
Adapters that learnt something lose 5 to 12 % in bfloat16."""
LINEAR_BYTES = {"bnb-int8": 1.0, "bnb-nf4": 0.53, "bnb-fp4": 0.53}
"""Per weight of a linear layer; 4 bits and a scale for every 64."""


@attrs.frozen(kw_only=True)
class HfLoader:
    """A transformers causal language model.

    Remote code is never run. A GGUF file is converted once and kept as safetensors in the
    cache folder, by the hash of its content.
    """

    path: str
    """Folder, GGUF file, hub id, or ``package:NAME`` for the folder of an installed package."""
    revision: str | None = None
    """Hub revision (branch, tag or commit)."""
    gguf_file: str | None = None
    """A GGUF file inside ``path`` (a folder, a hub id or a package)."""
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer, for a model that comes without one."""
    adapter: str | None = None
    """Folder or hub id of a LoRA adapter."""
    quantize: Literal["int8", "int4", "bnb-int8", "bnb-nf4", "bnb-fp4"] | None = None
    """int8, int4: weights of linear layers and experts, not of the head, rounded to the nearest
    of 2^8 or 2^4 levels, on any device.
    bnb-...: bitsandbytes' 8-bit and 4-bit layers (needs the extra ``quant``)."""
    group_size: int = attrs.field(default=64, validator=ge(1))
    """Inputs that share a scale, for int8 and int4."""
    noise: float = attrs.field(default=0.0, validator=ge(0.0))
    """Gaussian noise added to linear layers and experts, as a share of each one's norm: a model
    that differs and has learnt nothing."""
    noise_seed: int = 0
    """Of that noise."""
    merge_adapter: Literal["auto", "always", "never"] = "auto"
    """A LoRA added to a copy of the matrices that it changes, so that each pass costs what
    model_1's does. auto = where there is memory for them and 16 bits do not round it away."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto = as stored where the device computes in that, else float32; a GGUF file's weights are
    bfloat16 where the processor has it."""
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """eager returns attention weights; it stands in where an architecture has no sdpa."""
    device: str | None = attrs.field(default=None, validator=optional(attrs.validators.min_len(1)))
    """Overrides the config's device for this model."""
    offload: bool = False
    """Keep the decoder layers in CPU memory and bring each to the device when it runs."""
    notes: list[str] = attrs.field(init=False, factory=list, eq=False, repr=False)
    """Lines for the report about what was loaded, filled by :meth:`load`."""

    def load(self, device: str) -> tuple[Any, Any]:
        """The model and its tokenizer.

        Raises:
            PairError: nothing is there, it is not complete, or it cannot be read.
        """
        adapter = self._adapter()
        model, tokenizer = self._load_base(self.device or device)
        return self._modify(model, tokenizer, adapter, self.device or device)

    def load_beside(self, other: Any, model: Any, tokenizer: Any) -> tuple[Any, Any] | None:
        """The same base again with this adapter or rounding, sharing every unchanged tensor."""
        if not self.shares_with(other) or (self._writes and is_sharded(model)):
            return None  # rounding and noise need whole layers
        if other == self:
            return _sharing_copy(model), tokenizer
        return self._modify(_sharing_copy(model), tokenizer, self._adapter(), str(model.device))

    def skeleton(self, device: str = "cpu") -> Any:
        """Shapes from the configuration alone. Raises PairError as :meth:`load` does."""
        source = self._located(weights=False)
        device = self.device or device
        with _quiet(), translated(f"{self.path} cannot be loaded"):
            if source.gguf_file is not None:
                return described(source.folder / source.gguf_file).to(
                    gguf_format(self.dtype, device)
                )
            local = Path(self.path).is_dir() or self.path.startswith("package:")
            folder = inspected(
                source.folder, self.path, needs_tokenizer=not self.tokenizer, weights=local
            )
            return self._described(folder, self._format(folder, device))[1]

    def weight_bytes(self, skeleton: Any, other: Any = None) -> int:
        """Of every tensor, or of those that differ from ``other``'s."""
        inside = sum(getattr(module, name).numel() for module, name, _ in matrices(skeleton))
        width = next(skeleton.parameters()).element_size()
        rounded = inside * LINEAR_BYTES.get(self.quantize or "", width)
        if other is not None and self.shares_with(other):
            adapter = self._adapter() if self.merge_adapter != "never" else None
            copied = adapter.changed_numbers * width if adapter else 0
            return int(rounded) if self._writes else copied  # an adapter itself is not counted
        rest = sum(p.numel() for p in skeleton.parameters()) - inside
        return int(rest * width + rounded)

    def shares_with(self, other: Any) -> bool:
        """Whether :meth:`load_beside` would share tensors with what ``other`` loaded.

        Raises:
            PairError: there is no such adapter.
        """
        if not isinstance(other, HfLoader) or other._base() != self._base() or other.offload:
            return False
        if other == self:
            return True
        if other.adapter is not None or other._writes:
            return False
        adapter = self._adapter()
        return adapter is None or adapter.keeps_base

    @property
    def _writes(self) -> bool:
        """Whether it changes the matrices that it loads."""
        return self.quantize is not None or self.noise > 0

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

    def _adapter(self) -> Adapter | None:
        return opened(self.adapter) if self.adapter is not None else None

    def _modify(
        self, model: Any, tokenizer: Any, adapter: Adapter | None, device: str
    ) -> tuple[Any, Any]:
        if adapter is not None:
            rows = model.get_input_embeddings().weight.shape[0]
            model = attach_adapter(model, adapter)
            base = adapter.made_for.rstrip("/").rpartition("/")[2]
            if base.lower() not in f"{self.path}/{self.gguf_file}".lower():
                self.notes.append(f"the adapter says it was made for {adapter.made_for}")
            self._merge(model)
            added = model.get_input_embeddings().weight.shape[0] - rows
            if added and has_tokenizer(adapter.folder):
                tokenizer = load_tokenizer(adapter.folder)
                self.notes.append(f"the adapter brings {added:+} tokens and their tokenizer")
            elif (template := adapter.chat_template) not in (None, tokenizer.chat_template):
                tokenizer = copy.deepcopy(tokenizer)
                tokenizer.chat_template = template
        if self.noise:
            add_noise(model, self.noise, self.noise_seed)
        if self.quantize in ("int8", "int4"):
            rounded, every = quantize_matrices(model, self.quantize, self.group_size)
            self.notes.append(f"{self.quantize}: {rounded / every:.0%} of the weights are rounded")
        if self.offload:
            offload_layers(model, device)
        return model, tokenizer

    def _merge(self, model: Any) -> None:
        if self.merge_adapter == "never" or is_sharded(model):
            return
        free = free_memory(str(model.device))
        room = free // 2 if free is not None and self.merge_adapter == "auto" else None
        why = merge_adapter(model, room, MOST_ROUNDED if self.merge_adapter == "auto" else None)
        if why is not None:
            self.notes.append(f"the adapter is added in every pass, not merged: {why}")

    def _located(self, *, weights: bool = True) -> Source:
        return located(self.path, revision=self.revision, gguf_file=self.gguf_file, weights=weights)

    def _load_base(self, device: str) -> tuple[Any, Any]:
        self.notes.clear()
        source = self._located()
        with _quiet(), translated(f"{self.path} cannot be loaded"):
            path = source.folder
            if source.gguf_file is not None:
                path = converted(source.folder / source.gguf_file)
            folder = inspected(path, self.path, needs_tokenizer=not self.tokenizer)
            dtype = self._format(folder, device)
            if source.gguf_file is not None:
                dtype = gguf_format(self.dtype, device)
            auto, skeleton = self._described(folder, dtype)
            attention = skeleton.config._attn_implementation
            del skeleton
            tokenizer = (
                load_tokenizer(self.tokenizer)
                if self.tokenizer
                else load_tokenizer(path, self.path)
            )
            how = f" (quantised: {folder.quantised})" if folder.quantised else ""
            with (
                translated(f"{self.path}{how} cannot be loaded"),
                in_shards(dtype if self.quantize is None else None),
            ):
                model, found = auto.from_pretrained(
                    path,
                    output_loading_info=True,
                    dtype=dtype or "auto",
                    attn_implementation=attention,
                    use_safetensors=True,
                    ignore_mismatched_sizes=True,  # they are refused below, by name
                    trust_remote_code=False,
                    **self._placing(folder, device, dtype),
                )
            if is_sharded(model):
                found["unexpected_keys"] = unplaced(model, folder)
            self.notes.extend(check_after(model, found, folder))
        if self.quantize in BNB_KINDS or folder.quantised:
            return after_loading(model), tokenizer  # never .to(): the layers are where they belong
        return (model if self.offload else model.to(device)), tokenizer

    def _format(self, folder: ModelFolder, device: str) -> torch.dtype | None:
        """None: as a quantised folder says."""
        if folder.quantised and self.dtype == "auto":
            return None
        return number_format(self.dtype, folder, device)

    def _described(self, folder: ModelFolder, dtype: torch.dtype | None) -> tuple[Any, Any]:
        """transformers' class for the folder, and the model without weights, checked."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(folder.path, trust_remote_code=False)
        auto = auto_class(config, self.path, self.notes)
        if folder.config.get("auto_map"):
            self.notes.append(
                f"the folder's own Python code was not run: transformers' {config.model_type} was"
            )
        with bounded_modules(folder), torch.device("meta"):
            try:
                skeleton = self._empty(auto, config, self.attn_implementation, dtype)
            except ValueError as error:
                if "scaled_dot_product_attention" not in str(error):
                    raise
                skeleton = self._empty(
                    auto, config, "eager", dtype
                )  # the same numbers, written out
        check_before(skeleton, folder)
        return auto, skeleton

    def _empty(self, auto: Any, config: Any, attention: str, dtype: torch.dtype | None) -> Any:
        return auto.from_config(
            config,
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=False,
        )

    def _placing(
        self, folder: ModelFolder, device: str, dtype: torch.dtype | None
    ) -> dict[str, Any]:
        """How ``from_pretrained`` quantises and where it puts what is quantised."""
        if folder.quantised is None:
            return loading_options(self.quantize, dtype, device)
        if self.quantize is not None:
            raise PairError(
                f"{self.path} is quantised already ({folder.quantised})", fix="leave quantize out"
            )
        if folder.quantised == "bitsandbytes":
            require_bitsandbytes(self.path)
        _require_known(folder.quantised, self.path)
        return {"device_map": {"": device}}


def _require_known(method: str, path: str) -> None:
    """Raises PairError for what transformers would load as if it were not quantised."""
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

    known = {name.removesuffix("_4bit").removesuffix("_8bit") for name in AUTO_QUANTIZER_MAPPING}
    if method not in known:
        raise PairError(
            f"{path} is quantised in a way that this version of transformers does not know",
            why=f"quant_method '{method}'",
            fix="pip install --upgrade transformers, or give the original weights",
        )


def _sharing_copy(model: Any) -> Any:
    """Same modules, anew; same parameters and buffers, not copied."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, memo={id(tensor): tensor for tensor in tensors})


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and tables: what they say is said by us."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
