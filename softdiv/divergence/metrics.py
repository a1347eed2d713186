"""DivergenceMetrics: every metric of a run, applied to rows and to answers, failures named."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import torch
from torch import Tensor

from softdiv.plugin.failures import FOREIGN, Failures
from softdiv.plugin.records import ResponsePair, Rows

PREFIX = "compute_"
M = TypeVar("M", bound="DivergenceMetrics")


@attrs.define(eq=False)
class DivergenceMetrics:
    """Token metrics become ``[N]`` columns of a rollout; response metrics see answer pairs.

    Subclass it to add a metric without a plugin package: every method
    ``compute_NAME(self, outputs_1, outputs_2)`` of the subclass is the token metric ``NAME``.
    ``outputs_1`` and ``outputs_2`` are the two models' next-token log-probabilities at the same N
    response tokens, ``[N, V]`` fp32, nats; it returns one value per token, ``[N]``. A method that
    returns a single number is called token by token with ``[1, V]`` instead (slower), so that no
    token's value depends on its neighbours.

    A metric that raises, or returns the wrong shape, is set aside and reported as
    ``not available: reason``; the others go on.
    """

    metrics: Mapping[str, Any] = attrs.field(factory=dict)
    """name in the report -> metric"""
    failures: Failures = attrs.field(factory=Failures)
    """Names the plugin behind a failure."""
    unavailable: dict[str, str] = attrs.field(init=False, factory=dict)

    def beside(self: M, metrics: Mapping[str, Any], failures: Failures | None = None) -> M:
        """A copy with ``metrics`` first, for a new run: nothing is set aside yet."""
        made = copy.copy(self)
        made.metrics, made.unavailable = {**metrics, **self.metrics}, {}
        made.failures = failures or self.failures
        return made

    def of_rows(self, rows: Rows) -> dict[str, Tensor]:
        """Every token metric's ``[N]`` values."""
        values = {}
        shown = _copied(rows)
        for name, metric in (*self._of_level("token"), *self._methods()):
            try:
                found = metric(shown)
                if _written(shown):
                    shown = _copied(rows)
                    raise ValueError("wrote to its input")
                if not isinstance(found, torch.Tensor) or found.shape != rows.targets.shape:
                    shape = getattr(found, "shape", type(found).__name__)
                    raise ValueError(f"returned {shape}, expected one value per row")
                values[name] = found.detach().float()
            except FOREIGN as error:  # a metric's failure is named and does not stop the run
                self._set_aside(name, metric, error)
        return values

    def of_pairs(self, pairs: Sequence[ResponsePair]) -> dict[str, list[float]]:
        """Every response metric's values, one per pair."""
        values = {}
        for name, metric in self._of_level("response"):
            try:
                found = [float(value) for value in metric(pairs)]
                if len(found) != len(pairs):
                    raise ValueError(f"returned {len(found)} values for {len(pairs)} pairs")
                values[name] = found
            except FOREIGN as error:  # as above
                self._set_aside(name, metric, error)
        return values

    @property
    def resamples(self) -> int:
        """How many further samples per model and text the metrics ask for; 0 mostly."""
        wanted = (getattr(metric, "resamples", 0) for _, metric in self._of_level("response"))
        return max(wanted, default=0)

    def _of_level(self, level: str) -> list[tuple[str, Any]]:
        return [
            (name, metric)
            for name, metric in self.metrics.items()
            if getattr(metric, "level", None) == level and name not in self.unavailable
        ]

    def _methods(self) -> list[tuple[str, Callable[[Rows], Tensor]]]:
        names = [name for name in dir(type(self)) if name.startswith(PREFIX)]
        return [
            (name.removeprefix(PREFIX), _of_method(getattr(self, name)))
            for name in names
            if name.removeprefix(PREFIX) not in self.unavailable
        ]

    def _set_aside(self, name: str, metric: Any, error: BaseException) -> None:
        line = self.failures.add(metric, f"metric '{name}'", error)
        self.unavailable[name] = f"not available: {line}"


def _of_method(method: Callable[[Tensor, Tensor], Any]) -> Callable[[Rows], Tensor]:
    """A ``compute_*`` method as a token metric."""

    def metric(rows: Rows) -> Tensor:
        one, two = rows.log_probs_1, rows.log_probs_2
        found = method(one, two)
        if isinstance(found, Tensor) and found.dim() > 0:
            return found
        each = [float(method(one[n : n + 1], two[n : n + 1])) for n in range(len(one))]
        return torch.tensor(each, device=one.device)

    return metric


def _copied(rows: Rows) -> Rows:
    """The core goes on with its own tensors, whatever a metric does to these."""
    return attrs.evolve(
        rows,
        log_probs_1=rows.log_probs_1.detach().clone(),
        log_probs_2=rows.log_probs_2.detach().clone(),
        targets=rows.targets.clone(),
        example_index=rows.example_index.clone(),
    )


def _written(rows: Rows) -> bool:
    """torch counts the writes to a tensor; a clone starts at 0."""
    return any(
        tensor._version
        for tensor in (rows.log_probs_1, rows.log_probs_2, rows.targets, rows.example_index)
    )
