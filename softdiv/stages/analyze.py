"""Explain the findings."""

from __future__ import annotations

from softdiv import stored
from softdiv.analysis.analyzer import DivergenceAnalyzer
from softdiv.plugin.interfaces import ModelAnalyzer
from softdiv.stages.by_text import analyzers_by_text
from softdiv.stages.load import load
from softdiv.stages.work import Work


def analyze(work: Work) -> None:
    """Run the analyzers on the findings of every prompt, the best prompt's first.

    Writes ``analysis.json``. The models are loaded only for an analyzer that runs them.

    Raises:
        RunError: nothing was evaluated yet.
    """
    if work.run.done("analyze"):
        return
    evaluation = stored.evaluation(work.run)
    analyzers, notes = work.parts.analyzers, list[str]()
    if work.config.pair.by == "text":
        analyzers = analyzers_by_text(analyzers, notes.append)
    needed = any(isinstance(analyzer, ModelAnalyzer) for analyzer in analyzers.values())
    loaded = load(work) if needed else None
    with work.stage("analyze") as stage:
        stage.notes += notes
        analyzer = DivergenceAnalyzer(analyzers=analyzers, failures=work.observers.attribution)
        if loaded is None:
            sections = analyzer.analyze(evaluation.findings)
        else:
            with loaded.pair.ledger.phase("analysis"):
                sections = analyzer.analyze(evaluation.findings, loaded.pair, loaded.layout)
        stage.files |= stored.write_sections(work.run, sections)
