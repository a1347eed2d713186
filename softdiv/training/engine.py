"""What steps the optimizer: one interface, plain torch or DeepSpeed behind it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from typing import Protocol

import attrs
import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.errors import TrainingError
from softdiv.training.soft_prompt import DivergenceSoftPrompt


@attrs.frozen(eq=False)
class EngineState:
    """All that a continued training needs of the optimizer."""

    tensors: Mapping[str, Tensor]
    """``prompt``, ``exp_avg``, ``exp_avg_sq``: ``[k, H]`` fp32."""
    steps: int
    """Optimizer steps taken."""


class Engine(Protocol):
    """Steps one soft prompt."""

    name: str

    def prompt(self) -> Tensor:
        """``[k, H]``, differentiable: what goes into the models. Once per micro-batch."""

    def values(self) -> Tensor:
        """``[k, H]`` fp32, detached copy."""

    def assign(self, values: Tensor) -> None:
        """Overwrite the prompt; the optimizer's moments stay."""

    def backward(self, loss: Tensor) -> None:
        """Back-propagate one micro-batch; divides by the accumulation steps."""

    def gradient(self) -> Tensor:
        """``[k, H]`` fp32 copy of the gradient, after the last backward of a step."""

    def scale_gradient(self, factor: float) -> None:
        """Multiply that gradient, before :meth:`step`."""

    def step(self) -> float:
        """Clip, step, advance the warm-up, drop the gradient; returns the norm before clipping."""

    def zero(self) -> None:
        """Drop the gradient."""

    def learning_rate(self) -> float:
        """Rate of the next step."""

    def state(self) -> EngineState:
        """A copy on the CPU."""

    def load(self, state: EngineState) -> None:
        """Continue from ``state``, bit for bit."""


def adamw(
    prompt: DivergenceSoftPrompt, config: TrainingConfig
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW (Loshchilov & Hutter, 2019) with linear warm-up to a constant rate."""
    optimizer = torch.optim.AdamW(
        [prompt.embeddings], lr=config.learning_rate, weight_decay=config.weight_decay
    )
    warmup = max(config.warmup_steps, 1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, 1.0)
    )
    return optimizer, scheduler


def rewind(scheduler: torch.optim.lr_scheduler.LambdaLR, steps: int) -> None:
    """Put the warm-up where ``steps`` steps leave it."""
    scheduler.last_epoch = steps
    factor = scheduler.lr_lambdas[0](steps)
    for group, rate in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
        group["lr"] = rate * factor


def optimizer_state(optimizer: torch.optim.Optimizer, key: Tensor) -> dict[str, Tensor]:
    """AdamW moments of one parameter, zeros before the first step."""
    found = optimizer.state.get(key, {})  # torch creates it at the first step
    return {
        name: found[name].detach().cpu().clone() if name in found else torch.zeros(key.shape)
        for name in ("exp_avg", "exp_avg_sq")
    }


def fill_optimizer_state(optimizer: torch.optim.Optimizer, key: Tensor, state: EngineState) -> None:
    """The reverse of :func:`optimizer_state`."""
    optimizer.state[key] = {
        "step": torch.tensor(float(state.steps)),
        **{n: state.tensors[n].to(key.device).clone() for n in ("exp_avg", "exp_avg_sq")},
    }


class TorchEngine:
    """Plain torch."""

    name = "torch"

    def __init__(self, prompt: DivergenceSoftPrompt, config: TrainingConfig) -> None:
        self._module, self._config = prompt, config
        self._optimizer, self._scheduler = adamw(prompt, config)

    def prompt(self) -> Tensor:
        """See :class:`Engine`."""
        found: Tensor = self._module()
        return found

    def values(self) -> Tensor:
        """See :class:`Engine`."""
        return self._module.embeddings.detach().clone()

    @torch.no_grad()
    def assign(self, values: Tensor) -> None:
        """See :class:`Engine`."""
        self._module.embeddings.copy_(values)

    def backward(self, loss: Tensor) -> None:
        """See :class:`Engine`."""
        (loss / self._config.gradient_accumulation_steps).backward()

    def gradient(self) -> Tensor:
        """See :class:`Engine`."""
        grad = self._module.embeddings.grad
        return torch.zeros_like(self._module.embeddings) if grad is None else grad.detach().clone()

    def scale_gradient(self, factor: float) -> None:
        """See :class:`Engine`."""
        if self._module.embeddings.grad is not None:
            self._module.embeddings.grad.mul_(factor)

    def step(self) -> float:
        """See :class:`Engine`."""
        limit = self._config.gradient_clip or float("inf")
        norm = float(torch.nn.utils.clip_grad_norm_([self._module.embeddings], limit))
        self._optimizer.step()
        self._scheduler.step()
        self.zero()
        return norm

    def zero(self) -> None:
        """See :class:`Engine`."""
        self._optimizer.zero_grad(set_to_none=True)

    def learning_rate(self) -> float:
        """See :class:`Engine`."""
        return float(self._optimizer.param_groups[0]["lr"])

    def state(self) -> EngineState:
        """See :class:`Engine`."""
        moments = optimizer_state(self._optimizer, self._module.embeddings)
        return EngineState({"prompt": self.values().cpu(), **moments}, self._scheduler.last_epoch)

    def load(self, state: EngineState) -> None:
        """See :class:`Engine`."""
        self.assign(state.tensors["prompt"])
        fill_optimizer_state(self._optimizer, self._module.embeddings, state)
        rewind(self._scheduler, state.steps)


def make_engine(config: TrainingConfig, prompt: DivergenceSoftPrompt) -> Engine:
    """The engine ``config.engine`` names; ``auto`` is DeepSpeed where it is installed, on Linux.

    Raises:
        TrainingError: DeepSpeed is asked for by name and is not there.
    """
    present = sys.platform == "linux" and importlib.util.find_spec("deepspeed") is not None
    wanted = config.engine.name
    if wanted == "deepspeed" and not present:
        raise TrainingError(
            "the engine 'deepspeed' is not installed",
            fix="pip install 'softdiv[deepspeed]' on Linux, or set training.engine.name to torch",
        )
    if wanted == "torch" or not present:
        return TorchEngine(prompt, config)
    from softdiv.training.deepspeed_engine import DeepSpeedEngine

    return DeepSpeedEngine(prompt, config)
