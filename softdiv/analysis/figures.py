"""Figures as data -> SVG and PNG, drawn by matplotlib without a display or global state.

Labels are model text, hence hostile: no mathtext is parsed, hidden characters are dropped, and
matplotlib escapes the rest.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from softdiv.errors import DiskError, cut
from softdiv.plugin.records import Curve, Heatmap, Scatter, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FigureData = Curve | Heatmap | Scatter
INK, GRID = "#3d4650", "#8a939d"
SERIES = ("#1f6fb5", "#c4521a", "#2b8a3e", "#8541a8", "#7a6a00")
MARKERS = ("o", "s", "^", "D", "v")
WIDTH, NARROW, LABEL, TICKS = 4.8, 4.2, 40, 20
"""inches, of a heatmap (three stand side by side); longest label; most tick labels per axis"""
STYLE = {
    "text.parse_math": False,
    "svg.fonttype": "none",  # text stays text: small, selectable, in the page's own font
    "svg.hashsalt": "softdiv",  # the same figure gives the same bytes
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def figures_of(section: Section) -> tuple[FigureData, ...]:
    """Every figure of a section, in the order in which it is shown."""
    return (*section.scatters, *section.curves, *section.heatmaps)


def svg(*figures: FigureData) -> str | None:
    """Figures side by side as one SVG document; None when none has a finite value."""
    data = _saved(figures, "svg")
    return None if data is None else data.decode()


def png(*figures: FigureData) -> bytes | None:
    """The same as a PNG."""
    return _saved(figures, "png")


def for_page(document: str) -> str:
    """An SVG document as an element of a page that has the CSS colours ``--ink``, ``--c0``, ...

    Everything before the element is dropped, and its ink follows the page from light to dark.
    """
    element = document[document.index("<svg") :]
    colours = {INK: "var(--ink)", GRID: "var(--quiet)"}
    colours |= {colour: f"var(--c{number})" for number, colour in enumerate(SERIES)}
    for colour, variable in colours.items():
        element = element.replace(f": {colour}", f": {variable}")
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
    # what no reference needs would only be repeated from figure to figure
    return re.sub(
        r' id="(?:figure|axes|patch|line2d|text|matplotlib|xtick|ytick)[\w.]*"', "", element
    )


def _saved(figures: Sequence[FigureData], kind: str) -> bytes | None:
    finite = [figure for figure in figures if drawable(figure)]
    if not finite:
        return None
    with _style():
        made, target = _draw(finite), io.BytesIO()
        metadata = {"Date": None, "Creator": None} if kind == "svg" else None
        made.savefig(target, format=kind, transparent=kind == "svg", dpi=150, metadata=metadata)
    return target.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    try:
        import matplotlib
    except OSError as error:  # its own, with a paragraph of advice
        raise DiskError(
            "no figure can be drawn",
            why="matplotlib finds no folder to keep its fonts in",
            fix="set MPLCONFIGDIR to a folder that can be written",
        ) from error

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # a glyph that the measuring font lacks; the reader's own font shows it
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*constrained_layout not applied.*")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _draw(figures: Sequence[FigureData]) -> Figure:
    from matplotlib.figure import Figure

    height = max(_height(figure) for figure in figures)
    width = sum(NARROW if isinstance(figure, Heatmap) else WIDTH for figure in figures)
    made = Figure(figsize=(width, height), layout="constrained")
    for part, figure in zip(
        made.subfigures(1, len(figures), squeeze=False)[0], figures, strict=True
    ):
        axes = part.subplots()
        axes.set_title(textwrap.fill(_plain(figure.title, 90), 54))
        axes.set_xlabel(_plain(figure.x_label))
        axes.set_ylabel(_plain(figure.y_label))
        if isinstance(figure, Curve):
            _curve(axes, figure)
        elif isinstance(figure, Scatter):
            _scatter(axes, figure)
        else:
            _heatmap(axes, figure)
        if names := axes.get_legend_handles_labels()[1]:
            axes.grid(color=GRID, alpha=0.25, linewidth=0.6)
            beside = max(1, min(3, LABEL // max(map(len, names))))
            # below everything: on no point and no label
            part.legend(frameon=False, fontsize=8, loc="outside lower left", ncols=beside)
    return made


def _height(figure: FigureData) -> float:
    return min(2 + 0.12 * len(figure.y), 6.0) if isinstance(figure, Heatmap) else 2.8


def _curve(axes: Axes, curve: Curve) -> None:
    for number, (name, values) in enumerate(curve.series.items()):
        points = list(zip(curve.x, [y if _finite(y) else math.nan for y in values], strict=False))
        apart = not any(_finite(a) and _finite(b) for (_, a), (_, b) in itertools.pairwise(points))
        if apart:  # a value now and then: joined, where a series with gaps is broken at them
            points = [point for point in points if _finite(point[1])]
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=SERIES[number % len(SERIES)],
            marker=MARKERS[number % len(MARKERS)] if apart else "",
            linewidth=1.6,
            label=_plain(name),
        )


def _scatter(axes: Axes, scatter: Scatter) -> None:
    for number, (name, points) in enumerate(scatter.groups.items()):
        finite = [(x, y) for x, y in points if _finite(x) and _finite(y)]
        axes.scatter(
            [x for x, _ in finite],
            [y for _, y in finite],
            color=SERIES[number % len(SERIES)],
            marker=MARKERS[number % len(MARKERS)],
            s=18,
            alpha=0.75,
            label=_plain(name),
        )


def _heatmap(axes: Axes, heatmap: Heatmap) -> None:
    cells = [[v if _finite(v) else math.nan for v in row] for row in heatmap.values]
    largest = max((abs(v) for row in cells for v in row if _finite(v)), default=0.0)
    largest = (heatmap.largest if _finite(heatmap.largest) else largest) or 1.0
    image = axes.imshow(  # one small picture, where a mesh would be a path per cell
        cells,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r" if heatmap.diverging else "viridis",
        vmin=-largest if heatmap.diverging else 0,
        vmax=largest,
    )
    _ticks(axes.set_xticks, heatmap.x, rotation=60, ha="right", rotation_mode="anchor")
    _ticks(axes.set_yticks, heatmap.y)
    bar = axes.figure.colorbar(image, ax=axes, label=_plain(heatmap.unit))
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)


def _ticks(place: Callable[..., Any], names: Sequence[str], **options: Any) -> None:
    every = max(1, -(-len(names) // TICKS))
    at = range(0, len(names), every)
    place(list(at), [_plain(names[i], 12) for i in at], **options)


def drawable(figure: FigureData) -> bool:
    """Whether there is a finite value in it."""
    if isinstance(figure, Curve):
        return any(_finite(y) for values in figure.series.values() for y in values)
    if isinstance(figure, Scatter):
        points = (point for group in figure.groups.values() for point in group)
        return any(_finite(x) and _finite(y) for x, y in points)
    return any(_finite(value) for row in figure.values for value in row)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _plain(text: str, limit: int = LABEL) -> str:
    """One short line of printable characters; matplotlib hides a label that starts with _."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    line = cut(line, limit)
    return f" {line}" if line.startswith("_") else line
