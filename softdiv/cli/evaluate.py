"""``softdiv evaluate``: the stage of a run, or known prompts on any pair as a regression suite."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from softdiv.cli.options import (
    config_options,
    configured,
    json_option,
    refuse_options,
    texts_option,
)
from softdiv.cli.stage import FOLDER, force, quiet_option, run_stage, say_next
from softdiv.cli.terminal import console, only_ours, say, say_json
from softdiv.errors import GATE_FAILED, ConfigError
from softdiv.report.plain_text import one_line

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig
    from softdiv.evaluation.gate import Gate
    from softdiv.evaluation.results import Evaluation


@click.command()
@click.argument("source", metavar="RUN|PROMPTS.jsonl", type=FOLDER)
@click.option("--config", "config_path", type=FOLDER, help="For PROMPTS.jsonl [quickstart].")
@config_options
@texts_option
@click.option(
    "--fail-under", multiple=True, metavar="METRIC=X", help="Exit code 7 if it is below X."
)
@click.option("--fail-over", multiple=True, metavar="METRIC=X", help="Exit code 7 if it is above.")
@click.option(
    "--across",
    type=click.Choice(["max", "mean", "min"]),
    default="max",
    show_default=True,
    help="Which of the prompts' values a limit is compared with.",
)
@json_option
@force
@quiet_option
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    source: Path,
    config_path: Path | None,
    fail_under: tuple[str, ...],
    fail_over: tuple[str, ...],
    across: Literal["max", "mean", "min"],
    as_json: bool,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Score prompts on held-out texts: those a RUN found, or those of PROMPTS.jsonl on any pair.

    A line of PROMPTS.jsonl is {"text": "..."}; hard_prompts.jsonl of a run is one. Nothing is
    trained, searched or written. Baselines are shown, and limits do not look at them. METRIC is
    one of the config's metrics, jsd, llr or llr_lift, each a mean over the user texts.
    """
    run = source if source.is_dir() else None
    config = _config(source, config_path, options, force=force)
    gates = _gates(config, fail_under, fail_over)
    evaluation = (
        _of_run(run, options, force, quiet)
        if run
        else _of_suite(source, config, options["plugin_files"])
    )
    results = [gate.check(evaluation, across) for gate in gates]
    if as_json:
        from softdiv.report.contract import evaluation_to_contract

        checked = [
            {
                "metric": result.gate.metric,
                "side": result.gate.side,
                "limit": result.gate.limit,
                "across": result.across,
                "value": result.value if math.isfinite(result.value) else None,
                "passed": result.passed,
            }
            for result in results
        ]
        table = {**evaluation_to_contract(evaluation), "gates": checked}
        say_json(table)
    else:
        from softdiv.cli.verdict import print_evaluation

        print_evaluation(console(), evaluation)
        for note in evaluation.failures:
            say(f"Note: {one_line(note)}")
        for result in results:
            say(f"gate {result}")
    if run:
        from softdiv.storage.run_files import RunFiles

        say_next(RunFiles.of(run), "evaluate")
    context.exit(0 if all(result.passed for result in results) else GATE_FAILED)


def _config(
    source: Path, config_path: Path | None, options: dict[str, Any], *, force: bool
) -> ExperimentConfig:
    if not source.is_dir():
        if force:
            raise ConfigError("--force is for a run folder; prompts of a file are always scored")
        return configured(config_path, options)
    from softdiv.config.of_run import config_of_run

    refuse_options({**options, "config": config_path}, source)
    return config_of_run(source, options["plugins"])


def _gates(config: ExperimentConfig, under: tuple[str, ...], over: tuple[str, ...]) -> list[Gate]:
    """Before any model is loaded: a misspelt metric must not cost minutes."""
    if not under and not over:
        return []
    from softdiv.config.component import unique_names
    from softdiv.evaluation.gate import parse_gates

    return parse_gates(under, over, unique_names(config.evaluation.metrics))


def _of_run(run: Path, options: dict[str, Any], force: bool, quiet: bool) -> Evaluation:
    from softdiv.evaluation.results import EVALUATION, Evaluation
    from softdiv.storage.records import read_record

    done = run_stage("evaluate", run, options, force=force, quiet=quiet)
    return read_record(done.file(EVALUATION), Evaluation)


def _of_suite(path: Path, config: ExperimentConfig, plugin_files: tuple[Path, ...]) -> Evaluation:
    from softdiv.components import Prepared
    from softdiv.stages.replay import read_suite, replay

    with only_ours():
        return replay(Prepared.of(config, plugin_files), read_suite(path))
