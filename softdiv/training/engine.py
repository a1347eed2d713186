"""What steps the optimizer: one interface, plain torch or DeepSpeed behind it.

The loop hands over one finished gradient per step, summed over micro-batches and ranks. So a
gradient can be looked at before the optimizer sees it, and micro-batches may change size.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.errors import TrainingError
from softdiv.training.optimizer import (
    MOMENTS,
    build_optimizer,
    check_shapes,
    read_moments,
    rewind,
    write_moments,
)
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from softdiv.training.state import Stateful


class Engine(Stateful, Protocol):
    """Steps one soft prompt. With several ranks every method is called by all of them."""

    name: str

    def values(self) -> Tensor:
        """``[k, H]`` fp32, detached copy."""

    def assign(self, values: Tensor) -> None:
        """Overwrite the prompt; the optimizer's moments stay."""

    def step(self, gradient: Tensor) -> None:
        """Clip ``[k, H]``, the same on every rank, take one step, advance the schedule."""

    def learning_rate(self) -> float:
        """Rate of the next step."""

    def state_dict(self) -> dict[str, Any]:
        """``prompt`` and the moments, ``[k, H]`` fp32 on the CPU, and the ``steps`` taken."""


class TorchEngine:
    """Plain torch."""

    name = "torch"

    def __init__(
        self, prompt: DivergenceSoftPrompt, config: TrainingConfig, total_steps: int
    ) -> None:
        self._parameter, self._config = prompt.embeddings, config
        self._optimizer, self._scheduler = build_optimizer(prompt.embeddings, config, total_steps)

    def values(self) -> Tensor:
        """See :class:`Engine`."""
        return self._parameter.detach().clone()

    @torch.no_grad()
    def assign(self, values: Tensor) -> None:
        """See :class:`Engine`."""
        self._parameter.copy_(values)

    def step(self, gradient: Tensor) -> None:
        """See :class:`Engine`."""
        self._parameter.grad = gradient.clone()
        limit = self._config.gradient_clip or float("inf")
        torch.nn.utils.clip_grad_norm_([self._parameter], limit)
        self._optimizer.step()
        self._scheduler.step()
        self._optimizer.zero_grad(set_to_none=True)

    def learning_rate(self) -> float:
        """See :class:`Engine`."""
        return float(self._optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Engine`."""
        moments = read_moments(self._optimizer, self._parameter, MOMENTS[self._config.optimizer])
        return {"prompt": self.values().cpu(), **moments, "steps": self._scheduler.last_epoch}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`Engine`."""
        names, steps = MOMENTS[self._config.optimizer], state["steps"]
        check_shapes(state, names, self._parameter.shape)
        self.assign(state["prompt"])
        write_moments(self._optimizer, self._parameter, {n: state[n] for n in names}, steps)
        rewind(self._scheduler, steps)


def make_engine(config: TrainingConfig, prompt: DivergenceSoftPrompt, total_steps: int) -> Engine:
    """The engine ``config.engine`` names; ``auto`` is DeepSpeed where it is installed, on Linux.

    Raises:
        TrainingError: DeepSpeed is asked for by name and is not there.
        ConfigError: the user's DeepSpeed file contradicts the config.
    """
    present = sys.platform == "linux" and importlib.util.find_spec("deepspeed") is not None
    wanted = config.engine.name
    if wanted == "deepspeed" and not present:
        raise TrainingError(
            "the engine 'deepspeed' is not installed",
            fix="pip install 'softdiv[deepspeed]' on Linux, or set training.engine.name to torch",
        )
    if wanted == "torch" or not present:
        return TorchEngine(prompt, config, total_steps)
    from softdiv.training.deepspeed_engine import DeepSpeedEngine

    return DeepSpeedEngine(prompt, config, total_steps)
