"""Score the prompts on held-out texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.evaluation.detector import load_detector
from softdiv.evaluation.evaluate import evaluate as score
from softdiv.evaluation.null_bank import null_bank
from softdiv.evaluation.results import EVALUATION, Evaluation
from softdiv.evaluation.scoring import Scorer
from softdiv.pair.memory import RowLimit
from softdiv.plugin.failures import Failures
from softdiv.ranks.group import Ranks
from softdiv.report.contract import answers
from softdiv.stages.generate import read_prompts
from softdiv.stages.load import load
from softdiv.stages.train import read_training
from softdiv.stages.work import LoadedPair, Work
from softdiv.storage.records import read_record, to_plain

ANSWERS = "generations.jsonl"


def evaluate(work: Work) -> None:
    """Held-out scores and the verdict. Writes ``evaluation.json`` and ``generations.jsonl``.

    Raises:
        RunError: no prompts were searched yet.
    """
    if work.run.done("evaluate"):
        return
    trained, found, loaded = read_training(work), read_prompts(work), load(work)
    with work.stage("evaluate") as stage:
        loaded.pair.forget_prefixes()
        with loaded.pair.ledger.phase("evaluation"):
            evaluation = score(
                scorer(
                    work.config,
                    work.parts,
                    loaded,
                    work.observers.attribution,
                    RowLimit(told=stage.notes.append),
                    work.ranks,
                ),
                found.prompts,
                found.baselines,
                soft=trained.prompt if trained.steps else None,
                detector=detector(work.config),
                search_failures=work.notes("generate"),
                bank=null_bank(work.config),
            )
        stage.files |= work.run.write_json(EVALUATION, to_plain(evaluation), indent=None)
        stage.files |= work.run.write_json_lines(ANSWERS, _answers(evaluation))


def read_evaluation(work: Work) -> Evaluation:
    """What was measured, equal to what :func:`evaluate` computed. Raises RunError if missing."""
    work.require("evaluate", "evaluation")
    return read_record(work.run.file(EVALUATION), Evaluation)


def scorer(
    config: ExperimentConfig,
    parts: Components,
    loaded: LoadedPair,
    failures: Failures,
    limit: RowLimit,
    ranks: Ranks = Ranks(),
) -> Scorer:
    """Scores prompts on the configured number of held-out texts."""
    return Scorer(
        pair=loaded.pair,
        layout=loaded.layout,
        examples=loaded.split.test[: config.evaluation.test_texts],
        generation=config.generation,
        evaluation=config.evaluation,
        metrics=parts.metrics.beside({}, failures),
        seed=config.seed,
        limit=limit,
        ranks=ranks,
    )


def detector(config: ExperimentConfig) -> re.Pattern[str] | None:
    """Of the pair's planted organism, if it has one."""
    organism = config.pair.organism
    return load_detector(Path(organism)) if organism else None


def _answers(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One record per prompt and held-out text: both fresh answers."""
    return [
        {"prompt": result.text, "searcher": result.searcher, **answers(finding)}
        for result in (*evaluation.prompts, *evaluation.baselines)
        for finding in result.findings
    ]
