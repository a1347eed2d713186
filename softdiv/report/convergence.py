"""How the soft prompt's training went, as a curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from softdiv.plugin.records import Curve


def convergence_curve(lines: Iterable[Mapping[str, Any]]) -> Curve | None:
    """Divergence by step on training batches and at each validation; None before any step.

    Args:
        lines: the records of ``metrics.jsonl``.
    """
    steps = [line for line in lines if isinstance(line, Mapping) and "divergence" in line]
    if not steps:
        return None
    series = {"training texts": [_number(line["divergence"]) for line in steps]}
    validated = [_number(line.get("validation_bits")) for line in steps]
    if any(value == value for value in validated):
        series["validation texts"] = validated
    return Curve(
        title="Soft prompt training",
        x_label="steps",
        y_label="divergence, bits",
        x=[_number(line.get("step")) + 1 for line in steps],  # as the terminal counts: done
        series=series,
    )


def _number(value: object) -> float:
    """A value that was not finite is written as null."""
    return float(value) if isinstance(value, (int, float)) else float("nan")
