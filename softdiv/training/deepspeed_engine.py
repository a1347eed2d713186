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
from softdiv.training.engine import TorchEngine
from softdiv.training.soft_prompt import DivergenceSoftPrompt

LONGEST = 600
"""Characters of a foreign error's text."""


class DeepSpeedEngine(TorchEngine):
    """At stage 0 DeepSpeed steps torch's optimizer; above, the parameter and its moments are spread
    over the ranks."""

    name = "deepspeed"

    def __init__(
        self, prompt: DivergenceSoftPrompt, config: TrainingConfig, total_steps: int
    ) -> None:
        self._stage, table = config.engine.zero_stage, deepspeed_config(config)
        super().__init__(prompt, config, total_steps)
        device_type = self._device.type
        join(device_type, alone=True)
        try:
            with quiet():
                self._engine, *_ = load_deepspeed(device_type).initialize(
                    model=prompt,
                    optimizer=self._optimizer,
                    lr_scheduler=self._scheduler,
                    config=table,
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

        self._optimizer = self._engine.optimizer
        self._fresh = True  # until the optimizer has moments that can be read

    def values(self) -> Tensor:
        """See :class:`Engine`."""
        if self._stage == 0:
            return super().values()
        from deepspeed.utils import safe_get_full_fp32_param

        found: Tensor = safe_get_full_fp32_param(self._parameter)
        return found.detach().clone().view(self._shape)

    @torch.no_grad()
    def assign(self, values: Tensor) -> None:
        """See :class:`Engine`."""
        if self._stage == 0:
            super().assign(values)
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
        self._optimizer.zero_grad()
        self._fresh = False

    def learning_rate(self) -> float:
        """See :class:`Engine`."""
        return float(self._engine.get_lr()[0])

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`Engine`."""
        super().load_state_dict(state)
        rate = self._scheduler.optimizer.param_groups[0]["lr"]
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _moment(self, name: str) -> Tensor:
        if self._stage == 0:
            return super()._moment(name)
        if self._fresh:
            return torch.zeros(self._shape)
        from deepspeed.utils import safe_get_full_optimizer_state

        found: Tensor = safe_get_full_optimizer_state(self._parameter, name)
        return found.cpu().clone().view(self._shape)

    def _set_moments(self, moments: Mapping[str, Tensor], steps: int) -> None:
        if self._stage == 0:
            super()._set_moments(moments, steps)
            return
        # a step on a zero gradient creates the sharded moments, which are then overwritten
        self.step(torch.zeros(self._shape, device=self._device))
        for name, moment in moments.items():
            self._write_shard(moment, name)
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
