"""DeepSpeed around the soft prompt alone, in fp32; the frozen models stay outside in any dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.errors import ConfigError, TrainingError
from softdiv.pair.load_deepspeed import load_deepspeed, quiet
from softdiv.plugin.failures import reason
from softdiv.ranks.group import join
from softdiv.training.deepspeed_config import deepspeed_config
from softdiv.training.optimizer import (
    MOMENTS,
    build_optimizer,
    check_shapes,
    read_moments,
    rewind,
    write_moments,
)
from softdiv.training.soft_prompt import DivergenceSoftPrompt

LONGEST = 600
"""Characters of a foreign error's text."""


class DeepSpeedEngine:
    """See :class:`softdiv.training.engine.Engine`."""

    name = "deepspeed"

    def __init__(
        self, prompt: DivergenceSoftPrompt, config: TrainingConfig, total_steps: int
    ) -> None:
        self._parameter, self._stage = prompt.embeddings, config.engine.zero_stage
        self._moments, self._shape = MOMENTS[config.optimizer], prompt.embeddings.shape
        table = deepspeed_config(config)
        optimizer, self._scheduler = build_optimizer(prompt.embeddings, config, total_steps)
        device_type = prompt.embeddings.device.type
        join(device_type, alone=True)
        try:
            with quiet():
                self._engine, *_ = load_deepspeed(device_type).initialize(
                    model=prompt, optimizer=optimizer, lr_scheduler=self._scheduler, config=table
                )
        except Exception as error:  # its sections raise anything: AssertionError, pydantic's, ...
            why, file = reason(error)[:LONGEST], config.engine.deepspeed_config
            if file is not None:
                raise ConfigError(f"{file}: DeepSpeed refuses it: {why}") from error
            raise TrainingError(
                "DeepSpeed cannot be set up on this machine",
                why=why,
                fix='training.engine = { name = "torch" } trains the same prompt without it',
            ) from error

        self._fresh = True  # until the optimizer has moments that can be read

    def values(self) -> Tensor:
        """See :class:`Engine`."""
        if self._stage == 0:
            return self._parameter.detach().clone()
        from deepspeed.utils import safe_get_full_fp32_param

        found: Tensor = safe_get_full_fp32_param(self._parameter)
        return found.detach().clone().view(self._shape)

    @torch.no_grad()
    def assign(self, values: Tensor) -> None:
        """See :class:`Engine`."""
        if self._stage == 0:
            self._parameter.copy_(values)
            return
        import deepspeed

        with deepspeed.zero.GatheredParameters(
            [self._parameter], modifier_rank=0, enabled=self._stage == 3
        ):
            self._parameter.copy_(values)
        self._write_shard(values, None)

    def step(self, gradient: Tensor) -> None:
        """See :class:`Engine`; the product's derivative is exactly ``gradient``."""
        self._engine.backward((self._engine() * gradient).sum())
        self._engine.step()
        self._engine.optimizer.zero_grad()
        self._fresh = False

    def learning_rate(self) -> float:
        """See :class:`Engine`."""
        return float(self._engine.get_lr()[0])

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Engine`."""
        if self._fresh:
            moments = {name: torch.zeros(self._shape) for name in self._moments}
        elif self._stage == 0:
            moments = read_moments(self._engine.optimizer, self._parameter, self._moments)
        else:
            from deepspeed.utils import safe_get_full_optimizer_state

            moments = {
                name: safe_get_full_optimizer_state(self._parameter, name)
                .cpu()
                .clone()
                .view(self._shape)
                for name in self._moments
            }
        return {"prompt": self.values().cpu(), **moments, "steps": self._scheduler.last_epoch}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`Engine`."""
        steps = state["steps"]
        check_shapes(state, self._moments, self._shape)
        moments = {name: state[name] for name in self._moments}
        if self._stage == 0:
            write_moments(self._engine.optimizer, self._parameter, moments, steps)
            self._fresh = False
        else:
            self._fill_sharded_state(moments, steps)
        self.assign(state["prompt"].to(self._engine.device))
        rewind(self._scheduler, steps)
        rate = self._scheduler.optimizer.param_groups[0]["lr"]
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate

    def _fill_sharded_state(self, moments: Mapping[str, Tensor], steps: int) -> None:
        """A step on a zero gradient creates the sharded moments, which are then overwritten."""
        self.step(torch.zeros(self._shape, device=self._engine.device))
        for name, moment in moments.items():
            self._write_shard(moment.to(self._engine.device), name)
        for flat in self._engine.optimizer.optimizer.state.values():
            flat["step"] = torch.tensor(float(steps))

    def _write_shard(self, values: Tensor, moment: str | None) -> None:
        """Overwrite the fp32 weights, or one moment, from full ``[k, H]`` values."""
        if self._stage < 3:
            from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

            if moment is None:
                safe_set_full_fp32_param(self._parameter, values)
            else:
                safe_set_full_optimizer_state(self._parameter, values, moment)
            return
        from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

        # the full setters fail at a size the ranks do not divide evenly: shards are zero-padded
        world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
        size = -(-values.numel() // world)
        padded = torch.nn.functional.pad(values.flatten(), (0, size * world - values.numel()))
        shard = padded[rank * size : (rank + 1) * size].contiguous()
        if moment is None:
            safe_set_local_fp32_param(self._parameter, shard)
        else:
            safe_set_local_optimizer_state(self._parameter, shard, moment)
