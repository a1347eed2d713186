"""Decoder layers spread over the ranks by DeepSpeed ZeRO-3 (Rajbhandari et al. 2020).

Each rank keeps ``1 / world`` of every layer; a layer is whole only while it runs. Embeddings,
norms and the head stay whole on every rank: search and losses read them at all times.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from softdiv.errors import PairError
from softdiv.pair.layers import decoder_layers, replace_the_rest
from softdiv.pair.load_deepspeed import load_deepspeed, quiet
from softdiv.pair.lockstep import Lockstep

_sharded: ContextVar[str | None] = ContextVar("sharded", default=None)


@contextmanager
def sharded_loading(device_type: str) -> Iterator[None]:
    """Inside, loaders that can (see :func:`in_shards`) build models that were never whole.

    Raises:
        PairError: DeepSpeed is not installed.
    """
    try:
        load_deepspeed(device_type)
    except ImportError as error:
        raise PairError(
            "training.engine.shard_models needs DeepSpeed", fix="pip install 'softdiv[deepspeed]'"
        ) from error
    before = _sharded.set(device_type)
    try:
        yield
    finally:
        _sharded.reset(before)


@contextmanager
def in_shards(dtype: torch.dtype | None) -> Iterator[None]:
    """Around transformers' ``from_pretrained``: rank 0 reads the file, each rank keeps its part.

    Args:
        dtype: of the weights; None, as stored, loads the whole model on every rank first.

    Without effect outside :func:`sharded_loading`.
    """
    if _sharded.get() is None or dtype is None:
        yield
        return
    from transformers.integrations import HfDeepSpeedConfig
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    with quiet():
        settings = HfDeepSpeedConfig(_zero_config(dtype))  # read from here while it lives
        try:
            yield
        finally:
            unset_hf_deepspeed_config()
            del settings


def shard_pair(model_1: Any, model_2: Any, device: torch.device) -> Lockstep:
    """Spread both models' decoder layers, in place; every rank calls it.

    Raises:
        PairError: a model keeps its layers in no list, or in a format that cannot be spread.
    """
    deepspeed = load_deepspeed(device.type)
    return Lockstep([ShardedLayers(model, device, deepspeed) for model in (model_1, model_2)])


class ShardedLayers:
    """The decoder layers of one model, each whole only while it runs; see :class:`Passes`."""

    def __init__(self, model: Any, device: torch.device, deepspeed: Any) -> None:
        self._gathered = deepspeed.zero.GatheredParameters

        def whole(tensor: Tensor) -> Tensor:
            with self._gathered([tensor]) if hasattr(tensor, "ds_id") else nullcontext():
                return tensor.detach().to(device, copy=True)

        replace_the_rest(model, whole)
        self._layers, self._left = decoder_layers(model), list[nn.Module]()
        self._held = ExitStack()
        for layer in self._layers:
            _partition(layer, device, deepspeed, str(model.config.model_type))
            layer.forward = self._gathering(layer)

    def begin(self, *, backward: bool) -> None:
        """See :class:`softdiv.pair.lockstep.Passes`."""
        self._left = self._layers[::-1] if backward else self._layers[:]

    def finish(self) -> None:
        """See :class:`softdiv.pair.lockstep.Passes`."""
        self._held.close()
        while self._left:
            with self._whole(self._left[0]):
                pass

    @contextmanager
    def recomputing(self, layer: nn.Module) -> Iterator[None]:
        """See :class:`softdiv.pair.lockstep.Passes`."""
        self._held.close()
        self._held.enter_context(self._whole(layer))
        yield

    @contextmanager
    def _whole(self, layer: nn.Module) -> Iterator[None]:
        with self._gathered(list(layer.parameters())):
            if self._left and self._left[0] is layer:
                self._left.pop(0)
            yield

    def _gathering(self, layer: nn.Module) -> Any:
        plain = layer.forward

        @functools.wraps(plain)
        def forward(*args: Any, **kwargs: Any) -> Any:
            with self._whole(layer):
                return plain(*args, **kwargs)

        return forward


def shard_of(tensor: Tensor) -> Tensor:
    """What this rank holds of ``tensor``: the tensor itself if it is whole."""
    part: Tensor = getattr(tensor, "ds_tensor", tensor)
    return part


def is_sharded(model: Any) -> bool:
    """Whether any of its weights is spread over the ranks."""
    return any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def everywhere(flag: bool) -> bool:
    """Whether it is so on every rank."""
    votes = torch.tensor([int(flag)])
    dist.all_reduce(votes, dist.ReduceOp.MIN)
    return bool(votes)


def _partition(layer: nn.Module, device: torch.device, deepspeed: Any, kind: str) -> None:
    rest = [p for p in layer.parameters() if not hasattr(p, "ds_id")]
    if any(p.is_meta or not p.is_floating_point() for p in rest):
        raise PairError(
            f"a {kind} model with offloaded layers or packed numbers cannot be sharded",
            fix="set training.engine.shard_models = false, or load it in bfloat16",
        )
    layer.to(device)
    if rest:
        with quiet():
            deepspeed.zero.Init(module=layer, config_dict_or_path=_zero_config(rest[0].dtype))


def _zero_config(dtype: torch.dtype) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 1,
        "zero_optimization": {
            "stage": 3,
            "stage3_param_persistence_threshold": 0,
            "memory_efficient_linear": False,  # it would replace torch's linear for good
        },
        "bf16": {"enabled": dtype is torch.bfloat16},
        "fp16": {"enabled": dtype is torch.float16},
    }
