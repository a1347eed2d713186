"""Loaded means complete: every tensor of the files has its place in the model, and every place of
the model its tensor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from softdiv.errors import PairError
from softdiv.storage.stranger import StoredTensor, read_stored

from .folder import ModelFolder

PARTS_PER_TENSOR = 16
"""Most modules that a configuration may build for every tensor of the files; a Llama has 1.5."""
FEWEST_PARTS = 1_000
MOST_PARTS = 200_000
"""Modules, where the files are not at hand."""
LARGEST_BUFFERS = 1 << 30
"""Bytes of what the model computes itself, beside what the files hold."""
COMPUTED = re.compile(r"(\.|^)(inv_freq|original_inv_freq|masked_bias|position_ids)\Z")
"""Buffers of older versions, computed anew since."""
BESIDE = re.compile(r"(v_head|value_head)\.")
"""A value head of reinforcement learning reads the states and changes nothing."""


@contextmanager
def bounded_modules(folder: ModelFolder) -> Iterator[None]:
    """Inside, a configuration that builds more modules than its files have tensors for is refused.

    Raises:
        PairError: that it does.
    """
    built = 0
    limit = FEWEST_PARTS + PARTS_PER_TENSOR * len(folder.tensors) if folder.tensors else MOST_PARTS

    def count(*_: Any) -> None:
        nonlocal built
        built += 1
        if built > limit:
            raise PairError(
                f"{folder.name} is described as a larger model than its files hold",
                why=f"more than {limit:,} modules, for {len(folder.tensors):,} tensors",
                fix="they belong to different models",
            )

    hook = torch.nn.modules.module.register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def check_before(skeleton: Any, folder: ModelFolder) -> None:
    """Compare what the configuration builds with what the files hold, before memory is taken.

    Raises:
        PairError: shapes or number formats differ, or the model is larger than its files.
    """
    if not folder.tensors:
        return
    stored = sum(tensor.numel for tensor in folder.tensors.values())
    held = sum(parameter.numel() for parameter in skeleton.parameters())
    computed = sum(buffer.nbytes for buffer in skeleton.buffers())
    most = 8 * folder.size if folder.quantised else 2 * stored + 1_000_000
    if held > most or computed > max(LARGEST_BUFFERS, folder.size):
        raise PairError(
            f"{folder.name} is described as a larger model than its files hold",
            why=f"{max(held, computed):,} numbers, for {stored:,} in the files",
            fix="they belong to different models",
        )
    if folder.quantised:
        return  # packed numbers have other shapes
    places = dict(skeleton.named_parameters())
    for name, tensor in folder.tensors.items():
        place = places.get(name)
        if place is None:
            continue
        if tuple(place.shape) != tensor.shape:
            raise _shapes(folder, name, tensor.shape, tuple(place.shape))
        if not tensor.is_float:
            raise PairError(
                f"{folder.name} holds {name} as {tensor.dtype}, not as floating point numbers",
                why="config.json does not say how it was quantised",
                fix="give the original weights",
            )


def check_after(model: Any, found: Mapping[str, Any], folder: ModelFolder) -> list[str]:
    """What ``from_pretrained`` left empty or unused: refused, or told.

    Returns:
        Lines about tensors that are not used and change nothing.

    Raises:
        PairError: a place of the model got no tensor, or a tensor that carries weights no place.
    """
    for name, stored, expected in sorted(found["mismatched_keys"]):
        raise _shapes(folder, name, tuple(stored), tuple(expected))
    if missing := sorted(found["missing_keys"]):
        raise PairError(
            f"{folder.name} lacks {len(missing)} of its config's tensors, e.g. {missing[0]}",
            why="transformers would fill them with random numbers",
        )
    harmless: list[str] = []
    lost: list[str] = []
    for name in sorted(found["unexpected_keys"]):
        if COMPUTED.search(name):
            continue
        tensor = folder.tensors.get(name)
        idle = bool(BESIDE.match(name)) or (tensor is not None and _changes_nothing(tensor, name))
        (harmless if idle else lost).append(name)
    if lost:
        raise PairError(
            f"{folder.name} holds {len(lost)} tensors that its config has no place for, e.g. "
            f"{lost[0]}",
            why="the model without them is another one",
            fix="mend config.json (biases? number of layers?), or remove them from the files",
        )
    return [*_unused("", harmless), *_left_out(model, folder), *_rotary(model, folder)]


def unplaced(model: Any, folder: ModelFolder) -> set[str]:
    """Names of the files that the model has not; for a model in shards, where nobody says so.

    Empty for architectures whose files have other names than their parameters.
    """
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    if get_checkpoint_conversion_mapping(model.config.model_type) is not None:
        return set()
    places, prefix = set(model.state_dict()), f"{model.base_model_prefix}."
    return {
        name
        for name in folder.tensors
        if not {name, name.removeprefix(prefix), prefix + name} & places
    }


def _shapes(
    folder: ModelFolder, name: str, stored: tuple[int, ...], expected: tuple[int, ...]
) -> PairError:
    return PairError(
        f"{folder.name} holds {name} as {list(stored)}, its config asks for {list(expected)}",
        fix="they belong to different models",
    )


def _unused(why: str, names: list[str]) -> list[str]:
    if not names:
        return []
    return [f"{len(names)} tensors of the file are not used{why}, e.g. {names[0]}"]


def _changes_nothing(tensor: StoredTensor, name: str) -> bool:
    """Whether a model without this tensor computes the same: a mask, or a bias of zeros."""
    if not tensor.is_float:
        return True
    if not name.endswith("bias"):
        return False
    value: Tensor = read_stored(tensor, name)
    is_mask = value.ndim == 4 and torch.equal(value, torch.ones_like(value).tril())
    return is_mask or not value.any()


def _left_out(model: Any, folder: ModelFolder) -> list[str]:
    """What transformers leaves out by name, such as layers that predict further ahead."""
    patterns = [p for p in model._keys_to_ignore_on_load_unexpected or () if isinstance(p, str)]
    if not patterns:
        return []
    places, left_out = set(model.state_dict()), re.compile("|".join(f"({p})" for p in patterns))
    names = [
        name
        for name, tensor in folder.tensors.items()
        if name not in places
        and left_out.search(name)
        and tensor.is_float
        and not COMPUTED.search(name)
    ]
    return _unused(" by this architecture", sorted(names))


def _rotary(model: Any, folder: ModelFolder) -> list[str]:
    """Old files say how fast positions turn; the configuration may have lost it since."""
    own = [b for name, b in model.named_buffers() if name.endswith("inv_freq") and not b.is_meta]
    for name, tensor in folder.tensors.items():
        if not own or not name.endswith("rotary_emb.inv_freq"):
            continue
        value = read_stored(tensor, name).float()
        alike = (b.float().cpu() for b in own if b.shape == value.shape)
        if not any(torch.allclose(value, other, rtol=2e-2, atol=0) for other in alike):
            return [f"{name} of the file is not what config.json makes of rope_theta and scaling"]
        break
    return []
