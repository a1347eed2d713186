"""DeepSpeed around the soft prompt alone, in fp32; the frozen models stay outside in any dtype.

One process, no launcher and no port: the process group meets through a file.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.training.engine import (
    EngineState,
    adamw,
    fill_optimizer_state,
    optimizer_state,
    rewind,
)
from softdiv.training.soft_prompt import DivergenceSoftPrompt

_MOMENTS = ("exp_avg", "exp_avg_sq")


class DeepSpeedEngine:
    """See :class:`softdiv.training.engine.Engine`."""

    name = "deepspeed"

    def __init__(self, prompt: DivergenceSoftPrompt, config: TrainingConfig) -> None:
        self._module, self._stage = prompt, config.engine.zero_stage
        optimizer, self._scheduler = adamw(prompt, config)
        with _quiet():
            _join_process_group(prompt.embeddings.device.type)
            deepspeed = _import(prompt.embeddings.device.type)
            self._engine, *_ = deepspeed.initialize(
                model=prompt,
                optimizer=optimizer,
                lr_scheduler=self._scheduler,
                config=_ds_config(config),
            )
        self._backward_pending = False

    def prompt(self) -> Tensor:
        """See :class:`Engine`; through the engine's hooks, which gather a sharded prompt."""
        found: Tensor = self._engine()
        return found

    def values(self) -> Tensor:
        """See :class:`Engine`."""
        if self._stage == 0:
            return self._module.embeddings.detach().clone()
        from deepspeed.utils import safe_get_full_fp32_param

        found: Tensor = safe_get_full_fp32_param(self._module.embeddings)
        return found.detach().clone()

    @torch.no_grad()
    def assign(self, values: Tensor) -> None:
        """See :class:`Engine`."""
        if self._stage == 0:
            self._module.embeddings.copy_(values)
            return
        import deepspeed
        from deepspeed.utils import safe_set_full_fp32_param

        with deepspeed.zero.GatheredParameters(
            [self._module.embeddings], modifier_rank=0, enabled=self._stage == 3
        ):
            self._module.embeddings.copy_(values)
        safe_set_full_fp32_param(self._module.embeddings, values)

    def backward(self, loss: Tensor) -> None:
        """See :class:`Engine`; DeepSpeed divides by the accumulation itself."""
        if self._backward_pending:
            self._engine.step()  # counts a micro-batch; steps nothing before the last one
        self._engine.backward(loss)
        self._backward_pending = True

    def gradient(self) -> Tensor:
        """See :class:`Engine`; a sharded gradient is gathered."""
        from deepspeed.utils import safe_get_full_grad

        found: Tensor | None = safe_get_full_grad(self._module.embeddings)
        if found is None:
            return torch.zeros_like(self.values())
        return found.detach().float().clone()

    def scale_gradient(self, factor: float) -> None:
        """See :class:`Engine`."""
        from deepspeed.utils import safe_set_full_grad

        safe_set_full_grad(self._module.embeddings, self.gradient() * factor)

    def step(self) -> float:
        """See :class:`Engine`."""
        gradient = self._module.embeddings.grad
        norm = float(gradient.norm()) if self._stage == 0 and gradient is not None else None
        self._engine.step()
        self._backward_pending = False
        if norm is None:
            norm = float(self._engine.get_global_grad_norm() or 0.0)
        self.zero()
        return norm

    def zero(self) -> None:
        """See :class:`Engine`."""
        self._engine.optimizer.zero_grad()

    def learning_rate(self) -> float:
        """See :class:`Engine`."""
        return float(self._engine.get_lr()[0])

    def state(self) -> EngineState:
        """See :class:`Engine`."""
        if self._stage == 0:
            moments = optimizer_state(self._engine.optimizer, self._module.embeddings)
        else:
            from deepspeed.utils import safe_get_full_optimizer_state

            moments = {
                name: safe_get_full_optimizer_state(self._module.embeddings, name).cpu().clone()
                for name in _MOMENTS
            }
        return EngineState({"prompt": self.values().cpu(), **moments}, self._scheduler.last_epoch)

    def load(self, state: EngineState) -> None:
        """See :class:`Engine`."""
        if self._stage == 0:
            fill_optimizer_state(self._engine.optimizer, self._module.embeddings, state)
        else:
            self._fill_sharded_state(state)
        self.assign(state.tensors["prompt"].to(self._engine.device))
        rewind(self._scheduler, state.steps)
        rate = self._scheduler.optimizer.param_groups[0]["lr"]
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate

    def _fill_sharded_state(self, state: EngineState) -> None:
        """A step on a zero loss creates the sharded moments, which are then overwritten."""
        from deepspeed.utils import safe_set_full_optimizer_state

        for _ in range(self._engine.gradient_accumulation_steps()):
            self.backward(self.prompt().sum() * 0.0)
        self.step()
        for name in _MOMENTS:
            value = state.tensors[name].to(self._engine.device)
            safe_set_full_optimizer_state(self._module.embeddings, value, name)
        for flat in self._engine.optimizer.optimizer.state.values():
            flat["step"] = torch.tensor(float(state.steps))


def _ds_config(config: TrainingConfig) -> dict[str, Any]:
    zero: dict[str, Any] = {"stage": config.engine.zero_stage}
    if config.engine.zero_stage == 3:
        zero["stage3_param_persistence_threshold"] = 0
    return {
        "train_micro_batch_size_per_gpu": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "gradient_clipping": config.gradient_clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }


def _import(device_type: str) -> Any:
    import deepspeed
    import deepspeed.ops

    deepspeed.utils.logger.setLevel(logging.ERROR)
    if device_type == "cpu":
        # a single process needs no shared-memory collectives, and their build needs a compiler
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """DeepSpeed writes to standard output, which belongs to the command line's results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _join_process_group(device_type: str) -> None:
    """A group of one, unless a launcher made one, and the two variables DeepSpeed reads.

    ``LOCAL_RANK`` stays set: ZeRO-3 reads it in every forward pass.
    """
    os.environ.setdefault("LOCAL_RANK", "0")
    os.environ.setdefault("DS_ACCELERATOR", device_type)
    if torch.distributed.is_initialized():
        return
    folder = tempfile.mkdtemp(prefix="softdiv-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.distributed.init_process_group(
        "nccl" if device_type == "cuda" else "gloo",
        store=torch.distributed.FileStore(str(Path(folder) / "store"), 1),  # type: ignore[attr-defined]
        rank=0,
        world_size=1,
    )
    atexit.register(torch.distributed.destroy_process_group)
