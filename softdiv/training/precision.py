"""Number formats of a training: the models' own, and autocast's."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from softdiv.config.schema import TrainingConfig
from softdiv.errors import ConfigError
from softdiv.pair.manager import ModelPair

AUTOCAST: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""``training.autocast`` -> format."""


def check_precision(pair: ModelPair, training: TrainingConfig) -> None:
    """Raises ConfigError where autocast's 16 bits are not those of a model's weights.

    torch refuses to mix the two.
    """
    if not training.mixed_precision:
        return
    wanted = AUTOCAST[training.autocast]
    for wrapper in (pair.model_1, pair.model_2):
        dtype = wrapper.embedding_table.dtype
        if dtype not in (torch.float32, wanted):
            raise ConfigError(
                f"training.autocast = {training.autocast}, but {wrapper.name} is loaded in "
                f"{str(dtype).removeprefix('torch.')}",
                fix="set autocast to the same, or mixed_precision = false",
            )


def computes_in_fp16(pair: ModelPair, training: TrainingConfig) -> bool:
    """Whether gradients can underflow, so that the loss has to be scaled."""
    if training.mixed_precision and training.autocast == "fp16":
        return True
    wrappers = (pair.model_1, pair.model_2)
    return any(wrapper.embedding_table.dtype == torch.float16 for wrapper in wrappers)
