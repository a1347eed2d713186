"""A curve as the numbers of a simple line figure; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from softdiv.plugin.records import Curve

WIDTH, HEIGHT, MARGIN = 520, 200, 12


@attrs.frozen(kw_only=True)
class Line:
    """One series: its name and its points in the figure's pixels."""

    name: str
    runs: tuple[str, ...]
    """``points`` attributes of SVG polylines, split where values are missing"""
    dots: tuple[tuple[str, str], ...]
    """every point, so that a series of one value is seen too"""


@attrs.frozen(kw_only=True)
class Figure:
    """A curve scaled to ``WIDTH`` x ``HEIGHT`` pixels."""

    title: str
    x_label: str
    y_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    lines: tuple[Line, ...]


def draw(curve: Curve) -> Figure | None:
    """None when the curve has no finite point."""
    points = {
        name: [(float(x), float(y)) for x, y in zip(curve.x, values, strict=False)]
        for name, values in curve.series.items()
    }
    finite = [p for series in points.values() for p in series if _finite(p)]
    if not finite:
        return None
    x_range = _range(x for x, _ in finite)
    y_range = _range(y for _, y in finite)

    def place(point: tuple[float, float]) -> tuple[str, str]:
        x = MARGIN + _share(point[0], x_range) * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - _share(point[1], y_range) * (HEIGHT - 2 * MARGIN)
        return f"{x:.1f}", f"{y:.1f}"

    lines = []
    for name, series in points.items():
        runs: list[list[tuple[str, str]]] = [[]]
        for point in series:
            if _finite(point):
                runs[-1].append(place(point))
            elif runs[-1]:
                runs.append([])
        lines.append(
            Line(
                name=name,
                runs=tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1),
                dots=tuple(dot for run in runs for dot in run),
            )
        )
    return Figure(
        title=curve.title,
        x_label=curve.x_label,
        y_label=curve.y_label,
        x_range=x_range,
        y_range=y_range,
        lines=tuple(lines),
    )


def _finite(point: tuple[float, float]) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _range(values: Iterable[float]) -> tuple[float, float]:
    listed = list(values)
    return min(listed), max(listed)


def _share(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return 0.5 if high == low else (value - low) / (high - low)
