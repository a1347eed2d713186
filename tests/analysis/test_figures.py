from __future__ import annotations

import re

import attrs
from matplotlib.backends.backend_agg import FigureCanvasAgg

from softdiv.analysis import figures
from softdiv.analysis.figures import for_page, png, svg
from softdiv.plugin.records import Curve, Heatmap, Scatter

NAN = float("nan")
CURVE = Curve(
    title="t",
    x_label="x",
    y_label="y",
    x=[0, 1, 2, 3],
    series={"a": [0.0, 1.0, NAN, 1.0], "now and then": [NAN, 0.5, NAN, 0.7]},
)
HEATMAP = Heatmap(
    title="t", x_label="x", y_label="y", x=("a", "b"), y=("c",), values=((1.0, NAN),), unit="%"
)
SCATTER = Scatter(title="t", x_label="x", y_label="y", groups={"g": [(0, 1), (NAN, 2)], "h": []})


def test_every_kind_is_drawn_as_svg_and_png() -> None:
    for figure in (CURVE, HEATMAP, SCATTER):
        document, picture = svg(figure), png(figure)
        assert document is not None and "<svg" in document
        assert picture is not None and picture.startswith(b"\x89PNG")
    assert svg(CURVE) == svg(CURVE)  # byte for byte: a report can be compared with another
    wide = png(HEATMAP, HEATMAP, HEATMAP)
    assert wide is not None and len(wide) > len(png(HEATMAP) or b"")


def test_nothing_finite_is_not_drawn() -> None:
    empty = Curve(title="t", x_label="x", y_label="y", x=[0], series={"a": [NAN]})
    assert svg(empty) is None and png(empty) is None
    assert svg(empty, CURVE) is not None


def test_ink_and_series_follow_the_page() -> None:
    document = svg(CURVE)
    assert document is not None
    element = for_page(document)
    assert element.startswith("<svg")
    assert "var(--ink)" in element and "var(--c0)" in element and "var(--c1)" in element
    assert not re.search(r"#1f6fb5|#c4521a|<!--|<metadata", element)


def test_a_legend_lies_on_no_point_and_no_label() -> None:
    long = attrs.evolve(CURVE, title="t " * 45, series={"x" * 40: [1.0] * 4, "y" * 40: [2.0] * 4})
    with figures._style():
        made = figures._draw([CURVE, SCATTER, long])
        FigureCanvasAgg(made).draw()
    for part in made.subfigs:
        (axes,), (legend,) = part.axes, part.legends
        for box in (axes.title.get_window_extent(), legend.get_window_extent()):
            assert part.bbox.x0 <= box.x0 and box.x1 <= part.bbox.x1  # nor is it cut
        assert not legend.get_window_extent().overlaps(axes.get_tightbbox())


def test_mathematics_is_not_parsed() -> None:
    broken = Curve(title="$\\frac{", x_label="$x$", y_label="_y", x=[0, 1], series={"_s$": [0, 1]})
    document = svg(broken)
    assert document is not None
    assert "$\\frac{" in document and "_s$" in document
