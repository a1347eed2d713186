from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import attrs
import pytest

from softdiv.errors import SoftdivError
from softdiv.pipeline import PipelineResult
from softdiv.report.model import Report
from softdiv.report.notebook import to_notebook
from tests.report.hostile import HOSTILE_TEXTS, report_of
from tests.report.sample import HOSTILE, sample_report
from tests.report.test_html import parse


def result(report: Report) -> PipelineResult:
    return PipelineResult(report, Path("run"))


def test_a_notebook_shows_the_verdict_and_the_table() -> None:
    shown = result(sample_report())._repr_html_()
    assert shown == sample_report()._repr_html_()
    text = parse(shown).text
    for said in ("Difference found", "model_2 says something else", "0.210 [0.168, 0.252]"):
        assert said in text
    assert "(empty prompt)" in text and "54,000 FTE" in text


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_text_stays_text_in_a_notebook(text: str) -> None:
    shown = to_notebook(report_of(text, figures=False))
    tags = parse(shown)
    assert set(tags.names) == {"div", "p", "strong", "table", "tr", "th", "td"}
    assert not tags.attributes
    assert len(shown) < 200_000
    shown.encode()


def test_a_row_per_text_and_prompt() -> None:
    report = sample_report(answer=HOSTILE)
    first, *rest = report.evaluation.prompts
    finding = attrs.evolve(first.findings[0], metrics={"jsd": 0.2, "prompt": 1.0})
    first = attrs.evolve(first, findings=(finding,))
    evaluation = attrs.evolve(report.evaluation, prompts=(first, *rest))
    table = result(attrs.evolve(report, evaluation=evaluation)).to_pandas()
    assert list(table["prompt"]) == ["Tell me of the sea.", "Hello there", "", "Talk of oceans"]
    assert list(table["baseline"]) == [False, False, True, True]
    assert table["metric_jsd"][0] == 0.2 and table["metric_jsd"].isna()[1]
    assert table["metric_prompt"][0] == 1.0
    assert table["model_2"][0].endswith("\ufffd") and table["model_2_cut"][0]
    assert table["divergence_bits"].mean() == pytest.approx((0.21 + 0.02 + 0.03 + 0.05) / 4)


def test_polars_is_given_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    stand_in = types.ModuleType("polars")
    stand_in.DataFrame = lambda rows, **options: given.append((rows, options))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "polars", stand_in)
    result(sample_report()).to_polars()
    ((rows, options),) = given
    assert rows == result(sample_report()).to_pandas().to_dict("records")
    assert options == {"infer_schema_length": None}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SoftdivError) as error:
        getattr(result(sample_report()), f"to_{library}")()
    assert str(error.value) == f"to_{library}() needs {library} (pip install {library})"
