from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from softdiv.analysis.analyzer import DivergenceAnalyzer
from softdiv.plugin.records import Finding, Section
from tests.analysis.answers import planted_and_ordinary


class Counts:
    def __call__(self, findings: Sequence[Finding]) -> Section:
        return Section(title="count", summary=str(len(findings)))


class Broken:
    def __call__(self, findings: Sequence[Finding]) -> Section:
        raise KeyError("no such column")


class Looks:
    def __call__(self, findings: Sequence[Finding]) -> Section:
        return Section(title="looks", summary="no models")

    def with_models(self, findings: Sequence[Finding], pair: Any, layout: Any) -> Section:
        return Section(title="looks", summary=f"{pair} {layout}")


def test_a_failing_analyzer_is_named_and_the_others_go_on() -> None:
    analyzer = DivergenceAnalyzer(analyzers={"broken": Broken(), "count": Counts()})
    failed, counted = analyzer.analyze(planted_and_ordinary())
    assert failed.summary == "not available: analyzer 'broken' failed: KeyError: 'no such column'"
    assert counted.summary == "20"


def test_models_are_given_where_they_are_asked_for_and_there() -> None:
    analyzer = DivergenceAnalyzer(analyzers={"looks": Looks()})
    assert analyzer.analyze([], "pair", "layout")[0].summary == "pair layout"  # type: ignore[arg-type]
    assert analyzer.analyze([])[0].summary == "no models"
