"""Losses and processors: a failure stops the run, and says whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs

from softdiv.errors import PluginError, SoftdivError
from softdiv.plugin.failures import FOREIGN, reason
from softdiv.plugin.interfaces import Loss, Processor
from softdiv.plugin.records import Example

if TYPE_CHECKING:
    from torch import Tensor

    from softdiv.plugin.records import Rows


@attrs.frozen(eq=False)
class GuardedLoss:
    """A loss whose failures name its plugin."""

    loss: Loss
    plugin: str
    name: str

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]``. Raises PluginError when the loss fails or returns anything else."""
        import torch

        try:
            found: Any = self.loss(rows)
        except (SoftdivError, torch.OutOfMemoryError):
            raise  # it says what to do itself; memory is not the loss's fault
        except FOREIGN as error:
            if type(error).__module__ == "torch.utils.checkpoint":
                raise  # how torch ends a recomputation early; not a failure
            raise _failed(self.plugin, f"loss '{self.name}'", reason(error)) from error
        if not isinstance(found, torch.Tensor) or found.shape != rows.targets.shape:
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            why = f"returned {shape}, expected one value per row {tuple(rows.targets.shape)}"
            raise _failed(self.plugin, f"loss '{self.name}'", why)
        return found


@attrs.frozen(eq=False)
class GuardedProcessor:
    """A processor whose failures name its plugin."""

    processor: Processor
    plugin: str
    name: str

    @property
    def notes(self) -> list[str]:
        """Lines about what the processor left out, where it has any."""
        return list(getattr(self.processor, "notes", ()))

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """As the processor. Raises PluginError when it fails or yields anything but examples."""
        where = f"processor '{self.name}'"
        try:
            for example in self.processor(examples):
                if not isinstance(example, Example):
                    raise _failed(
                        self.plugin, where, f"yielded {type(example).__name__}, expected Example"
                    )
                yield example
        except SoftdivError:
            raise
        except FOREIGN as error:
            raise _failed(self.plugin, where, reason(error)) from error


def _failed(plugin: str, where: str, why: str) -> PluginError:
    return PluginError(
        f"plugin {plugin} failed in {where}", why=why, fix="nothing was lost; mend or remove it"
    )
