"""The processes of one training: who am I, what do the others say.

Values travel as JSON in byte tensors, never as pickles.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from softdiv.errors import ConfigError, LostRank
from softdiv.plugin.watchdog import JOIN_TIMEOUT, limit_of
from softdiv.ranks.launch import Launch
from softdiv.ranks.rendezvous import met

FOREVER = 86400.0
"""Seconds to wait for the other ranks where there is no limit."""

_LOST = ("gloo", "Connection closed", "Connection reset")

T = TypeVar("T")


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Name the cause when a collective call inside fails because another rank is gone.

    Raises:
        LostRank: the connection to another rank was lost.
    """
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, dist.DistError) or any(word in str(error) for word in _LOST)
        if not dist.is_initialized() or not lost:
            raise
        raise LostRank(
            f"rank {dist.get_rank()} lost the connection to another rank",
            why="its process has ended, or the network between them fails",
            fix="the same command continues the run, on any number of ranks",
        ) from error


@attrs.define(eq=False)
class Ranks:
    """This process among ``world`` equal ones. Every method with an answer is a collective call."""

    rank: int = 0
    world: int = 1
    leads: bool = False
    """This is rank 0, and the others wait in :meth:`requests` for what it asks."""
    _asked: bool = attrs.field(init=False, default=False)
    """A request is under way: the others expect us in its exchange, not another request."""
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
        return [value for value, _ in self.gather_tensors({}, value)]

    def gather_tensors(
        self, tensors: Mapping[str, Tensor], value: Any = None
    ) -> list[tuple[Any, dict[str, Tensor]]]:
        """Every rank's JSON value and, on the CPU, its tensors, by rank. Raises LostRank."""
        self._asked = False
        if self.world == 1:
            return [(value, dict(tensors))]
        self._settled()
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        forms = [[n, str(t.dtype).removeprefix("torch."), list(t.shape)] for n, t in kept.items()]
        head = json.dumps([value, forms]).encode()
        parts = [torch.tensor([len(head)]), torch.frombuffer(bytearray(head), dtype=torch.uint8)]
        data = torch.cat([_bytes(part) for part in (*parts, *kept.values())])
        sizes = [torch.zeros(1, dtype=torch.long) for _ in range(self.world)]
        with together():
            dist.all_gather(sizes, torch.tensor([len(data)]))
            longest = int(torch.cat(sizes).max())
            found = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.world)]
            dist.all_gather(found, torch.nn.functional.pad(data, (0, longest - len(data))))
        return [_read(part) for part in found]

    def share(self, value: Any) -> Any:
        """Rank 0's JSON value."""
        return self.gather(value if self.first else None)[0]

    def share_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rank 0's tensors, on the CPU; the other ranks' argument is ignored."""
        return self.gather_tensors(tensors if self.first else {})[0][1]

    def ask(self, request: Any, tensors: Mapping[str, Tensor]) -> None:
        """Rank 0 asks the others to take part in what it does next, which ends in
        :meth:`gather_tensors`."""
        self.gather_tensors(tensors, request)
        self._asked = True

    def requests(self) -> Iterator[tuple[Any, dict[str, Tensor]]]:
        """What rank 0 asks for, until it dismisses us."""
        while True:
            request, tensors = self.gather_tensors({})[0]
            if request is None:
                return
            yield request, tensors

    def dismiss(self) -> None:
        """Rank 0 lets the others go. Without effect where it was cut short in what it had asked
        for: then they notice that it is gone."""
        if self.leads and not self._asked:
            self.share(None)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        if self.world > 1:
            self._settled()
            dist.all_reduce(tensor)
        return tensor

    def _settled(self) -> None:
        if self.settle is not None:
            self.settle()


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)


def _read(data: Tensor) -> tuple[Any, dict[str, Tensor]]:
    """The inverse of what :meth:`Ranks.gather_tensors` sends."""
    start = 8 + int(data[:8].view(torch.long))
    value, forms = json.loads(data[8:start].numpy().tobytes())
    tensors = {}
    for name, kind, shape in forms:
        dtype: torch.dtype = getattr(torch, kind)
        stop = start + dtype.itemsize * math.prod(shape)
        tensors[name] = data[start:stop].clone().view(dtype).reshape(shape)
        start = stop
    return value, tensors


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
        _backend(device_type),
        store=store,
        rank=launch.rank,
        world_size=launch.world,
        # rank 0 may be at work alone for long; one that dies is noticed at once
        timeout=datetime.timedelta(seconds=FOREVER),
    )


def leave() -> None:
    """Close the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _backend(device_type: str) -> str:
    return "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
