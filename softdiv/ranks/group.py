"""The processes of one training: who am I, what do the others say.

Values travel as JSON in byte tensors, never as pickles.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from softdiv.errors import ConfigError, TrainingError
from softdiv.plugin.watchdog import JOIN_TIMEOUT, limit_of
from softdiv.ranks.launch import Launch
from softdiv.ranks.rendezvous import met

FOREVER = 86400.0
"""Seconds to wait for the other ranks where there is no limit."""

T = TypeVar("T")


@attrs.frozen
class Ranks:
    """This process among ``world`` equal ones. Every method with an answer is a collective call."""

    rank: int = 0
    world: int = 1
    settle: Callable[[], None] | None = None
    """Called before every collective act, see :meth:`softdiv.pair.lockstep.Lockstep.settle`."""

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and prints."""
        return self.rank == 0

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """This rank's contiguous share; shares differ by one item at most."""
        start, stop = (len(items) * n // self.world for n in (self.rank, self.rank + 1))
        return items[start:stop]

    def gather(self, value: Any) -> list[Any]:
        """Every rank's JSON value, by rank."""
        if self.world == 1:
            return [value]
        self._settled()
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.long) for _ in range(self.world)]
        dist.all_gather(sizes, torch.tensor([len(data)]))
        longest = int(torch.cat(sizes).max())
        padded = torch.nn.functional.pad(data, (0, longest - len(data)))
        found = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.world)]
        dist.all_gather(found, padded)
        return [
            json.loads(bytes(part[: int(size)].tolist()))
            for part, size in zip(found, sizes, strict=True)
        ]

    def share(self, value: Any) -> Any:
        """Rank 0's JSON value."""
        return self.gather(value if self.first else None)[0]

    def share_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rank 0's fp32 CPU tensors; the other ranks' argument is ignored."""
        if self.world == 1:
            return dict(tensors)
        shapes = self.share({name: list(tensor.shape) for name, tensor in tensors.items()})
        found = {}
        for name, shape in shapes.items():
            value = tensors[name].float().contiguous() if self.first else torch.empty(shape)
            dist.broadcast(value, 0)
            found[name] = value
        return found

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Name the cause when a collective call inside fails because another rank is gone.

        Raises:
            TrainingError: the connection to another rank was lost.
        """
        try:
            yield
        except RuntimeError as error:
            lost = isinstance(error, dist.DistError) or any(
                word in str(error) for word in ("gloo", "Connection closed", "Connection reset")
            )
            if self.world == 1 or not lost:
                raise
            raise TrainingError(
                f"rank {self.rank} lost the connection to another rank",
                why="its process has ended, or the network between them fails",
                fix="the same command continues the run, on any number of ranks",
            ) from error

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        if self.world > 1:
            self._settled()
            dist.all_reduce(tensor)
        return tensor

    def _settled(self) -> None:
        if self.settle is not None:
            self.settle()


def join(device_type: str, *, alone: bool = False) -> Ranks:
    """Join the process group a launcher describes; without one, a training of one process.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``; there a launched process takes the GPU of its local
            rank.
        alone: make a group even for one process, as DeepSpeed needs one. It meets in memory: no
            port is opened, no file is made and no variable has to be set.

    Raises:
        ConfigError: what the environment says of the processes is wrong.
        TrainingError: the others cannot be met, or do not come.
    """
    if not dist.is_initialized():
        launch = Launch.from_environment()
        if launch is not None:
            _meet(launch, device_type)
        elif alone:
            os.environ["LOCAL_RANK"] = "0"  # DeepSpeed's GPU, whatever a launcher left in the shell
            store = dist.HashStore()  # type: ignore[attr-defined]
            dist.init_process_group(_backend(device_type), store=store, rank=0, world_size=1)
        else:
            return Ranks()
        atexit.register(leave)
    return Ranks(dist.get_rank(), dist.get_world_size())


def _meet(launch: Launch, device_type: str) -> None:
    if device_type == "cuda":
        if launch.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"LOCAL_RANK is {launch.local_rank} but there are {torch.cuda.device_count()} GPUs",
                fix="start no more processes than GPUs, or set device to cpu",
            )
        torch.cuda.set_device(launch.local_rank)
    store = met(launch, limit_of(JOIN_TIMEOUT) or FOREVER)
    dist.init_process_group(
        _backend(device_type), store=store, rank=launch.rank, world_size=launch.world
    )


def leave() -> None:
    """Close the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _backend(device_type: str) -> str:
    return "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
