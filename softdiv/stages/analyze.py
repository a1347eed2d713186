"""Explain the findings."""

from __future__ import annotations

from softdiv.analysis.analyzer import DivergenceAnalyzer
from softdiv.plugin.records import Section
from softdiv.stages.evaluate import read_evaluation
from softdiv.stages.work import Work
from softdiv.storage.records import read_record, to_plain

ANALYSIS = "analysis.json"


def analyze(work: Work) -> None:
    """Run the analyzers on the best prompt's findings. Writes ``analysis.json``; needs no model.

    Raises:
        RunError: nothing was evaluated yet.
    """
    if work.run.done("analyze"):
        return
    evaluation = read_evaluation(work)
    with work.stage("analyze") as stage:
        best = evaluation.prompts or evaluation.baselines
        analyzer = DivergenceAnalyzer(analyzers=work.parts.analyzers)
        sections = analyzer.analyze(best[0].findings if best else ())
        stage.files |= work.run.write_json(ANALYSIS, to_plain(sections))


def read_sections(work: Work) -> tuple[Section, ...]:
    """The report's sections. Raises RunError if the analysis has not finished."""
    work.require("analyze", "analysis")
    return read_record(work.run.path / ANALYSIS, tuple[Section, ...])
