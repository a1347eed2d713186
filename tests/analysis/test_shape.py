from __future__ import annotations

import pytest

from softdiv.analysis.analyzer import DivergenceAnalyzer
from softdiv.analysis.shape import misshapen
from softdiv.plugin.records import Curve, Heatmap, Section, Table

AXES = {"x_label": "x", "y_label": "y"}


def section(**parts: object) -> Section:
    return Section(title="t", summary="s", **{name: (part,) for name, part in parts.items()})  # type: ignore[arg-type]


GOOD = section(
    tables=Table(columns=("a", "b"), rows=((1, 2),)),
    curves=Curve(title="c", x=(0.0,), series={"d": (1.0,)}, **AXES),
    heatmaps=Heatmap(title="h", x=("a", "b"), y=("c",), values=((1.0, 2.0),), **AXES),
)
BAD = {
    "table": section(tables=Table(columns=("a", "b"), rows=((1,),))),
    "curve": section(curves=Curve(title="c", x=(0.0,), series={"d": ()}, **AXES)),
    "heatmap": section(heatmaps=Heatmap(title="h", x=("a",), y=("c",), values=(), **AXES)),
}


def test_what_fits_passes() -> None:
    assert misshapen(GOOD) == ""


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_named_and_not_reported(what: str) -> None:
    assert misshapen(BAD[what]).startswith(what)
    (found,) = DivergenceAnalyzer(analyzers={"x": lambda findings: BAD[what]}).analyze([])
    assert found.summary.startswith("not available: analyzer 'x' failed: ValueError: " + what)
