"""Where every benchmark keeps its figures: ``results/NAME.json``, one form for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softdiv.storage.atomic import write_json
from softdiv.storage.run import machine_facts

RESULTS = Path(__file__).parent / "results"


def write_result(
    name: str,
    *,
    settings: Mapping[str, Any],
    summary: Mapping[str, float],
    rows: Sequence[Mapping[str, Any]],
    machine: Mapping[str, Any] | None = None,
) -> Path:
    """Write, and return where.

    Args:
        summary: flat name to number.
        machine: facts beside versions and platform.
    """
    path = RESULTS / f"{name}.json"
    facts = {**machine_facts(), **(machine or {})}
    content = {"machine": facts, "settings": dict(settings), "summary": dict(summary)}
    write_json(path, {**content, "rows": [dict(row) for row in rows]})
    return path
