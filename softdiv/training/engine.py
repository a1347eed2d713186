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
from softdiv.training.optimizer import MOMENTS, build_optimizer, rewind
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
    """Plain torch; see :class:`Engine`."""

    name = "torch"

    def __init__(
        self, prompt: DivergenceSoftPrompt, config: TrainingConfig, total_steps: int
    ) -> None:
        self._parameter, self._config = prompt.embeddings, config
        self._shape, self._device = prompt.embeddings.shape, prompt.embeddings.device
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
        moments = {name: self._moment(name) for name in MOMENTS[self._config.optimizer]}
        return {"prompt": self.values().cpu(), **moments, "steps": self._scheduler.last_epoch}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`Engine`. Raises ValueError where it is of a prompt of another shape."""
        tensors = {
            n: state[n].to(self._device) for n in ("prompt", *MOMENTS[self._config.optimizer])
        }
        wrong = [list(tensor.shape) for tensor in tensors.values() if tensor.shape != self._shape]
        if wrong:
            raise ValueError(f"the prompt is {list(self._shape)}, not {wrong[0]}")
        prompt = tensors.pop("prompt")
        self._set_moments(tensors, state["steps"])
        self.assign(prompt)
        rewind(self._scheduler, state["steps"])

    def _moment(self, name: str) -> Tensor:
        found = self._optimizer.state.get(self._parameter, {})  # torch creates it at the first step
        return found[name].detach().cpu().clone() if name in found else torch.zeros(self._shape)

    def _set_moments(self, moments: Mapping[str, Tensor], steps: int) -> None:
        step = {"step": torch.tensor(float(steps))}
        self._optimizer.state[self._parameter] = {**step, **moments}


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
