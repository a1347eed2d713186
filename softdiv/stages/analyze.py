"""Explain the findings."""

from __future__ import annotations

from softdiv.analysis.analyzer import DivergenceAnalyzer
from softdiv.analysis.shape import misshapen
from softdiv.errors import RunError
from softdiv.plugin.interfaces import ModelAnalyzer
from softdiv.plugin.records import Section
from softdiv.stages.evaluate import read_evaluation
from softdiv.stages.load import load
from softdiv.stages.work import Work
from softdiv.storage.records import read_record, to_plain

ANALYSIS = "analysis.json"


def analyze(work: Work) -> None:
    """Run the analyzers on the findings of every prompt, the best prompt's first.

    Writes ``analysis.json``. The models are loaded only for an analyzer that runs them.

    Raises:
        RunError: nothing was evaluated yet.
    """
    if work.run.done("analyze"):
        return
    evaluation = read_evaluation(work)
    analyzers = work.parts.analyzers
    needed = any(isinstance(analyzer, ModelAnalyzer) for analyzer in analyzers.values())
    loaded = load(work) if needed else None
    with work.stage("analyze") as stage:
        analyzer = DivergenceAnalyzer(analyzers=analyzers, failures=work.observers.attribution)
        if loaded is None:
            sections = analyzer.analyze(evaluation.findings)
        else:
            with loaded.pair.ledger.phase("analysis"):
                sections = analyzer.analyze(evaluation.findings, loaded.pair, loaded.layout)
        stage.files |= work.run.write_json(ANALYSIS, to_plain(sections))


def read_sections(work: Work) -> tuple[Section, ...]:
    """The report's sections. Raises RunError if the analysis has not finished."""
    work.require("analyze", "analysis")
    path = work.run.file(ANALYSIS)
    sections = read_record(path, tuple[Section, ...])
    for wrong in filter(None, map(misshapen, sections)):
        raise RunError(f"{path} is damaged", why=wrong)
    return sections
