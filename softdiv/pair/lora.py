"""Adapters, by peft; the only module that imports it."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from softdiv.errors import PairError
from softdiv.pair.adapter import CONFIG, Adapter, opened, refusal, refuse_endless_patterns
from softdiv.pair.adapter_fit import ReferencePass, check_filled, fit_vocabulary
from softdiv.pair.foreign import translated
from softdiv.pair.load_deepspeed import name_accelerator
from softdiv.pair.sharding import is_sharded


def attach_adapter(model: Any, adapter: str | Adapter) -> Any:
    """Put an adapter's layers into ``model`` (in place) and return the model.

    What :attr:`Adapter.keeps_base` says it writes besides its own layers is written: such an
    adapter needs a model that shares no tensors.

    Args:
        adapter: folder with ``adapter_config.json`` and ``adapter_model.safetensors``, or hub id.

    Raises:
        PairError: peft is missing, there is no adapter, it is of a kind that is no part of the
            model's layers, it does not fit, or it changes nothing.
    """
    peft = load_peft()
    given = adapter if isinstance(adapter, Adapter) else opened(adapter)
    _refuse_kind(peft, given)
    names = [name for name, _ in (*model.named_modules(), *model.named_parameters())]
    refuse_endless_patterns(given, names)
    rows = fit_vocabulary(model, given)
    before = None if is_sharded(model) else ReferencePass.of(model, given)
    what = f"adapter '{given.name}' cannot be loaded"
    with quiet(), translated(what, "is it an adapter of this model?"):
        wrapped = peft.PeftModel.from_pretrained(model, str(given.folder), is_trainable=False)
        # once more, because only this call returns what had no place
        result = wrapped.load_adapter(str(given.folder), "default", is_trainable=False)
        slots = peft.get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    check_filled(given, wrapped, slots, result)
    base = wrapped.get_base_model()
    if before is not None:
        with translated(f"{given.name} ({given.kind}) cannot be compared"):
            before.check(wrapped, base, resized=rows is not None)
    _merge_parameters(base)
    return base


def _refuse_kind(peft: Any, adapter: Adapter) -> None:
    """Raises PairError for prompt learning, an unknown method, or options of a later peft."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kinds = {kind.value: config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    config = kinds.get(adapter.kind)
    if config is None:
        raise refusal(adapter, f"peft {peft.__version__} does not know it")
    if issubclass(config, peft.PromptLearningConfig):
        raise refusal(
            adapter, "it adds virtual tokens to each text, changes none of the model's layers"
        )
    known = {field.name for field in dataclasses.fields(config)}
    unknown = sorted(key for key, value in adapter.config.items() if value and key not in known)
    if unknown:
        raise PairError(
            f"{adapter.folder / CONFIG} has options that peft {peft.__version__} does not know",
            why=", ".join(unknown[:5]),
            fix="pip install --upgrade peft",
        )


def _merge_parameters(model: Any) -> None:
    """Replace LoRAs on parameters, such as the experts of a mixture, by their sum with the weight.

    peft adds them in place in every forward pass, which breaks the backward pass of another.
    """
    from peft.tuners.lora.layer import ParamWrapper

    outermost = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, ParamWrapper)
        and not isinstance(model.get_submodule(name.rpartition(".")[0]), ParamWrapper)
    ]
    for name, module in outermost:
        inner = module
        while isinstance(inner, ParamWrapper):
            layer, weight = inner.get_base_layer(), inner.get_param()
            delta = sum(inner.get_delta_weight(active) for active in inner.active_adapters)
            summed = torch.nn.Parameter((weight + delta).detach(), requires_grad=False)
            setattr(layer, inner.parameter_name, summed)
            inner = inner.base_layer
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, inner)


def merge_adapter(model: Any, most_bytes: int | None, most_rounded: float | None) -> str | None:
    """Replace LoRAs beside linear maps by the maps' sums with them (in place), in copies.

    peft computes what they add in every pass of its own. What is merged keeps the map as it was
    (``unmerged``), for whoever wants the change without its rounding.

    Args:
        most_bytes: of all copies; None for any.
        most_rounded: norm of what rounding to the weights' format changes, as a share of the
            adapter's change; None for any.

    Returns:
        Why nothing was merged, None if something was.
    """
    from peft.tuners.lora.layer import Linear

    found = [
        (name, module)
        for name, module in model.named_modules()
        if type(module) is Linear
        and type(module.get_base_layer()) is torch.nn.Linear
        # those also rescale the map, or move it, which is left to peft
        and not any(map(module.use_dora.get, module.active_adapters))
        and not any(map(module.lora_bias.get, module.active_adapters))
    ]
    size = sum(module.get_base_layer().weight.nbytes for _, module in found)
    if most_bytes is not None and size > most_bytes:
        return f"a second copy of what it changes takes {size / 1e6:.0f} MB"
    merged = [(name, module, _merged(module)) for name, module in found]
    if most_rounded is not None:
        share = _rounded(merged)
        if share > most_rounded:
            return f"rounding would change it by {share:.0%}"
    for name, module, alone in merged:
        alone.unmerged = (module,)  # in a tuple: no module of the model
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, alone)
    return None


def _merged(module: Any) -> Any:
    shared = {id(tensor): tensor for tensor in module.parameters()}
    copied = copy.deepcopy(module, memo=shared)
    layer = copied.get_base_layer()
    layer.weight = torch.nn.Parameter(layer.weight.detach().clone(), requires_grad=False)
    copied.merge(safe_merge=True)
    return layer


def _rounded(merged: Sequence[tuple[str, Any, Any]]) -> float:
    """Norm of what merging lost, as a share of the change, over all matrices."""
    lost = whole = 0.0
    for _, module, alone in merged:
        change = sum(module.get_delta_weight(active).float() for active in module.active_adapters)
        weight = module.get_base_layer().weight.float()
        lost += float((alone.weight.float() - weight - change).square().sum())
        whole += float(change.square().sum())
    return math.sqrt(lost / whole) if whole else 0.0


def load_peft() -> Any:
    """The module peft. Raises PairError where it is not installed."""
    name_accelerator()
    # peft imports bitsandbytes, which misses a package of kernels on some CPUs and says so
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import peft
    except ImportError as error:
        raise PairError("LoRA adapters need peft", fix="pip install 'softdiv[lora]'") from error
    return peft


@contextmanager
def quiet() -> Iterator[None]:
    """Without what peft warns of and softdiv says itself."""
    with warnings.catch_warnings():
        # peft 0.21 reads an attribute that transformers 5.23 renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        # said by check_filled, in one line
        warnings.filterwarnings("ignore", "Found missing adapter keys")
        yield
