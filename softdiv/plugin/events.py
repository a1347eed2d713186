"""What observers receive: one read-only object per stage, which can grow new attributes."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from torch import Tensor

    from softdiv.plugin.records import HardPrompt


# with types of their own, which mypy does not know of a generic function as a converter
def _copy(config: Any) -> Any:
    return copy.deepcopy(config)


def _tuple(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(items)


def _view(numbers: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType(dict(numbers))


@attrs.define(eq=False, kw_only=True)
class RunEvent:
    """The run as a whole."""

    run_dir: Path
    config: Any = attrs.field(converter=_copy)
    """A copy of the run's :class:`softdiv.ExperimentConfig`."""
    rank: int = 0
    error: BaseException | None = None


@attrs.define(eq=False, kw_only=True, on_setattr=attrs.setters.frozen)
class TrainEvent:
    """The training loop. The same object is passed to every hook of one training, read-only."""

    run_dir: Path | None
    step: int
    """Index of the current step, from 0."""
    total_steps: int
    prompt: Tensor
    """A copy of the soft prompt as it is now, ``[k, H]`` fp32 on the CPU. In
    ``softdiv_gradient_ready``, and only there, its ``.grad`` is a copy of the gradient."""
    _numbers: dict[str, float] = attrs.field(factory=dict, alias="metrics")
    timings: Mapping[str, float] = attrs.field(factory=dict, converter=_view)
    """This step's ``seconds``, ``tokens_per_s``, ``share_...`` of the time and
    ``peak_memory_gib``, in ``timings.jsonl``."""
    notes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """What happened in this step that a user should read, e.g. smaller micro-batches."""
    rank: int = 0
    stop_reason: str | None = None
    gradient_scale: float = 1.0
    """What the observers so far want this step's gradient multiplied by."""
    _own: frozenset[str] = attrs.field(init=False, default=frozenset())

    @property
    def metrics(self) -> Mapping[str, float]:
        """This step's numbers, read-only: ``loss`` (own unit), ``divergence`` (bits), ...

        And what observers have logged. softdiv's own are there from ``softdiv_step_end`` on.
        """
        return MappingProxyType(self._numbers)

    def log(self, name: str, value: float) -> None:
        """Add a number to this step's line in ``metrics.jsonl``.

        Raises:
            ValueError: the name is one of softdiv's own.
        """
        if name in self._own:
            raise ValueError(f"'{name}' is softdiv's own number; log under another name")
        self._numbers[name] = float(value)

    def stop(self, reason: str) -> None:
        """End training after this step; the first reason given is kept and reported."""
        if self.stop_reason is None:
            advance(self, stop_reason=str(reason))

    def scale_gradient(self, factor: float) -> None:
        """Multiply this step's gradient, before clipping; several observers' factors multiply.

        AdamW hardly notices a constant factor (Kingma & Ba, 2015, section 2.1); it acts through
        ``training.gradient_clip`` and where it changes from step to step.

        Raises:
            ValueError: the factor is not a positive finite number.
            RuntimeError: no gradient is ready; only ``softdiv_gradient_ready`` may call this.
        """
        if getattr(self.prompt, "grad", None) is None:
            raise RuntimeError("scale_gradient is for softdiv_gradient_ready")
        if not 0 < factor < math.inf:
            raise ValueError(f"gradient factor {factor!r} is not a positive finite number")
        advance(self, gradient_scale=self.gradient_scale * float(factor))


def advance(event: Any, **values: Any) -> None:
    """Change a read-only event. For the core, which owns it."""
    for name, value in values.items():
        object.__setattr__(event, name, value)


def set_metrics(event: TrainEvent, own: Mapping[str, float], *, fresh: bool = False) -> None:
    """Give a training event softdiv's own numbers; observers can neither change nor shadow them."""
    kept = {} if fresh else {k: v for k, v in event.metrics.items() if k not in own}
    names = frozenset(own) if fresh else event._own | frozenset(own)
    advance(event, _numbers={**kept, **own}, _own=names)


@attrs.frozen(eq=False)
class PromptCopy:
    """A training event's prompt and gradient as they were before an observer saw them."""

    event: TrainEvent
    prompt: Tensor
    grad: Tensor | None

    @classmethod
    def of(cls, event: object) -> PromptCopy | None:
        """None for an event without a prompt."""
        if not isinstance(event, TrainEvent) or event.prompt is None:
            return None
        grad = event.prompt.grad
        return cls(event, event.prompt.detach().clone(), None if grad is None else grad.clone())

    def renewed(self) -> bool:
        """Whether an observer wrote to them; if so, the next observer gets an untouched copy."""
        now = self.event.prompt
        if _identical(self.prompt, now.detach()) and _identical(self.grad, now.grad):
            return False
        grad = None if self.grad is None else self.grad.clone()
        advance(self.event, prompt=with_gradient(self.prompt.clone(), grad))
        return True


def with_gradient(prompt: Tensor, grad: Tensor | None) -> Tensor:
    """What observers see as ``event.prompt``."""
    prompt.grad = grad
    return prompt


def _identical(one: Tensor | None, two: Tensor | None) -> bool:
    """Bit for bit: NaN equals itself."""
    import torch

    if one is None or two is None:
        return one is two
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return torch.equal(one.view(torch.uint8), two.view(torch.uint8))


@attrs.frozen(eq=False, kw_only=True)
class EvaluationEvent:
    """A validation during training (``split="val"``) or the held-out scoring (``split="test"``)."""

    split: str
    step: int
    divergence_bits: float
    best_bits: float
    """Best validation so far, this one included."""


@attrs.frozen(eq=False, kw_only=True)
class SearchEvent:
    """A stage of the search is done."""

    stage: str
    """e.g. ``"halving"`` or ``"baseline natural_pool"``"""
    prompts: Sequence[HardPrompt] = attrs.field(converter=_tuple)
    """What the stage left, best first where it ranks."""
    spent_fte: int
    """By the searchers, or by this baseline."""


@attrs.frozen(eq=False, kw_only=True)
class PromptsEvent:
    """What the search returned, best first, and the baselines run beside it."""

    prompts: Sequence[HardPrompt] = attrs.field(converter=_tuple)
    baselines: Sequence[HardPrompt] = attrs.field(converter=_tuple)


@attrs.frozen(eq=False, kw_only=True)
class ReportEvent:
    """The finished report and the files it was written to."""

    report: Any
    files: tuple[Path, ...] = attrs.field(converter=_tuple)
