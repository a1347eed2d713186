"""Optimizers and rate schedules that both engines run alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch.optim.lr_scheduler import LambdaLR

from softdiv.config.schema import TrainingConfig

MOMENTS: Mapping[str, tuple[str, ...]] = {
    "adamw": ("exp_avg", "exp_avg_sq"),
    "adam": ("exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
}
"""What each optimizer remembers, ``[k, H]`` each; zeros before the first step."""


def build_optimizer(
    parameter: torch.nn.Parameter, config: TrainingConfig, total_steps: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """The optimizer and its schedule.

    ``adamw``: Loshchilov & Hutter (2019); ``adam``: Kingma & Ba (2015), weight decay as L2;
    ``sgd``: with momentum 0.9.
    """
    rate, decay = config.learning_rate, config.weight_decay
    optimizer: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD([parameter], lr=rate, weight_decay=decay, momentum=0.9)
    else:
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind([parameter], lr=rate, weight_decay=decay)
    return optimizer, LambdaLR(optimizer, rate_factor(config, total_steps))


def rate_factor(config: TrainingConfig, total_steps: int) -> Callable[[int], float]:
    """Linear warm-up, then constant, or falling to 0 after the last step (cosine, linear)."""
    warmup = config.warmup_steps
    falling = max(total_steps - warmup, 1)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min((step - warmup) / falling, 1.0)
        if config.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        return 1.0 - done if config.schedule == "linear" else 1.0

    return factor


def rewind(scheduler: LambdaLR, steps: int) -> None:
    """Put the schedule where ``steps`` steps leave it."""
    scheduler.last_epoch = steps
    factor = scheduler.lr_lambdas[0](steps)
    rates = [rate * factor for rate in scheduler.base_lrs]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
