"""Score the prompts on held-out texts."""

from __future__ import annotations

from softdiv import stored
from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.evaluation.evaluate import evaluate as score
from softdiv.evaluation.null_bank import null_bank
from softdiv.evaluation.scoring import Scorer
from softdiv.pair.memory import RowLimit
from softdiv.plugin.failures import Failures
from softdiv.ranks.group import Ranks
from softdiv.stages.by_text import evaluate_by_text
from softdiv.stages.load import detector, load
from softdiv.stages.work import LoadedPair, Work


def evaluate(work: Work) -> None:
    """Held-out scores and the verdict. Writes ``evaluation.json`` and ``generations.jsonl``.

    Raises:
        RunError: no prompts were searched yet.
    """
    if work.run.done("evaluate"):
        return
    if work.config.pair.by == "text":
        return evaluate_by_text(work)
    trained, found = stored.training(work.run), stored.prompts(work.run)
    loaded = load(work)
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
        stage.files |= stored.write_evaluation(work.run, evaluation)


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
