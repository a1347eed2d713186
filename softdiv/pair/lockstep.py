"""Ranks that hold the shards of two models take every pass through them together.

A pass gathers each decoder layer from all ranks, so all must take part in it, in one order. But
ranks differ in what they have to do: shares of a batch, lengths of answers, a search on rank 0
alone. So before each pass every rank says which one it wants, the lowest rank that wants one
decides, and whoever has no such pass to make lends its shards to it without computing anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import attrs
import torch
import torch.distributed as dist
from torch import Tensor, nn

from softdiv.ranks.group import together

_NOTHING = 0


class Passes(Protocol):
    """The passes through one sharded model."""

    def begin(self, *, backward: bool) -> None:
        """A pass starts: from the first layer to the last, or backward."""

    def recomputing(self, layer: nn.Module) -> AbstractContextManager[None]:
        """From here on this layer's weights are all here, until another's are or the pass ends:
        its backward pass, which follows, reads them too."""

    def finish(self) -> None:
        """Gather and release the layers that are left of the pass begun last: all of them on a
        rank that only helps, those after the failure where an error cut it short, else none."""


class Lockstep:
    """One rank's side. Every rank of the default process group has one."""

    def __init__(self, models: Sequence[Passes]) -> None:
        self._models = models

    def turn(self, model: int) -> ShardTurn:
        """For the wrapper of model_1 (0) or model_2 (1)."""
        return ShardTurn(self, model)

    def take(self, model: int, *, backward: bool = False) -> None:
        """Return when a pass through ``model`` is everyone's next act."""
        mine = 1 + 2 * model + backward
        while (wanted := self._agree(mine)) != mine:
            self._lend(wanted)
        self._models[model].begin(backward=backward)

    def recomputing(self, model: int, layer: nn.Module) -> AbstractContextManager[None]:
        """See :meth:`Passes.recomputing`."""
        return self._models[model].recomputing(layer)

    def settle(self) -> None:
        """Lend until no rank wants a pass. Every rank calls it before any other collective act."""
        while (wanted := self._agree(_NOTHING)) != _NOTHING:
            self._lend(wanted)

    def _agree(self, mine: int) -> int:
        """What the lowest rank that wants something wants."""
        for model in self._models:
            model.finish()
        wishes = [torch.zeros(1, dtype=torch.long) for _ in range(dist.get_world_size())]
        with together():
            dist.all_gather(wishes, torch.tensor([mine]))
        return next((wish for wish in torch.cat(wishes).tolist() if wish != _NOTHING), _NOTHING)

    def _lend(self, wanted: int) -> None:
        model, backward = divmod(wanted - 1, 2)
        self._models[model].begin(backward=bool(backward))
        self._models[model].finish()


@attrs.frozen
class ShardTurn:
    """One model's place in a :class:`Lockstep`."""

    lockstep: Lockstep
    model: int

    def before_forward(self) -> None:
        """Return when everyone is about to make, or to help with, this model's forward pass."""
        self.lockstep.take(self.model)

    def before_backward(self, states: Tensor) -> Tensor:
        """The same ``[B, L, H]`` states, whose backward pass begins in the same way."""
        take = functools.partial(self.lockstep.take, self.model, backward=True)
        taken: Tensor = _Taken.apply(states, take)  # type: ignore[no-untyped-call]  # torch's own
        return taken

    def while_recomputing(self, layer: nn.Module) -> tuple[Any, Any]:
        """What torch's ``checkpoint`` enters around a layer's forward pass, which gathers by
        itself, and around its recomputation, which would not."""
        return nullcontext(), self.lockstep.recomputing(self.model, layer)


class _Taken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, take: Callable[[], None]) -> Tensor:
        ctx.take = take
        return states.view_as(states)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        ctx.take()
        return slopes[0], None
