"""DivergenceMetrics: the configured metrics, applied to rows and to answers, failures named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.plugin.records import ResponsePair, Rows


@attrs.define(eq=False)
class DivergenceMetrics:
    """Token metrics become ``[N]`` columns of a rollout; response metrics see answer pairs.

    A metric that raises, or returns the wrong shape, is set aside and reported as
    ``not available: reason``; the others go on.
    """

    metrics: Mapping[str, Any]
    """name in the report -> metric"""
    unavailable: dict[str, str] = attrs.field(init=False, factory=dict)

    def of_rows(self, rows: Rows) -> dict[str, Tensor]:
        """Every token metric's ``[N]`` values."""
        values = {}
        for name, metric in self._of_level("token"):
            try:
                found = metric(rows)
                if not isinstance(found, torch.Tensor) or found.shape != rows.targets.shape:
                    shape = getattr(found, "shape", type(found).__name__)
                    raise ValueError(f"returned {shape}, expected one value per row")
                values[name] = found.detach().float()
            except Exception as error:  # a metric's failure is named and does not stop the run
                self._set_aside(name, error)
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
            except Exception as error:  # as above
                self._set_aside(name, error)
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

    def _set_aside(self, name: str, error: Exception) -> None:
        self.unavailable[name] = f"not available: {type(error).__name__}: {error}"
