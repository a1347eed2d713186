"""``softdiv evaluate``: the stage of a run, or known prompts on any pair as a regression suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from softdiv.cli.gates import gate_options, gates_of, to_table, write_junit
from softdiv.cli.options import (
    FOLDER,
    config_options,
    configured,
    json_option,
    refuse_options,
    texts_option,
)
from softdiv.cli.plugin_options import with_plugins
from softdiv.cli.revise import revise, with_added, with_all_texts, with_texts_of
from softdiv.cli.stage import force, pipeline_of, quiet_option, run_stage, say_next
from softdiv.cli.terminal import console, only_ours, say, say_json
from softdiv.errors import GATE_FAILED, ConfigError
from softdiv.plain_text import one_line
from softdiv.storage.names import REPORT_HTML, through

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig
    from softdiv.evaluation.gate import GateResult
    from softdiv.evaluation.results import Evaluation


@click.command()
@click.argument("source", metavar="[RUN|PROMPTS.jsonl]", required=False, type=FOLDER)
@click.option("--config", "config_path", type=FOLDER, help="Without a RUN [quickstart].")
@config_options
@texts_option
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="One more than the config's, or a table: '{ name = \"rank_overlap\", k = 10 }'.",
)
@gate_options
@click.option("--output-dir", type=FOLDER, help="A run folder with a report, without a RUN.")
@json_option
@force
@quiet_option
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    source: Path | None,
    config_path: Path | None,
    metrics: tuple[str, ...],
    fail_under: tuple[str, ...],
    fail_over: tuple[str, ...],
    across: Literal["max", "mean", "min"],
    of: Literal["prompts", "baselines", "all"] | None,
    junit: Path | None,
    output_dir: Path | None,
    as_json: bool,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Score prompts on held-out texts: those a RUN found, or those of PROMPTS.jsonl on any pair.

    A line of PROMPTS.jsonl is {"text": "..."}; hard_prompts.jsonl of a run is one. Without either,
    --texts FILE is answered as it is: plain behaviour. Nothing is trained or searched, and all
    texts of --texts count. With --metric or --texts a RUN is added to: a revision beside it, in
    RUN/revisions, with a report of its own. METRIC of a limit is one of the config's metrics, jsd,
    llr or llr_lift, each a mean over the user texts.
    """
    run = source if source is not None and source.is_dir() else None
    if run is not None:
        old = _config_of(run, {**options, "config": config_path, "output": output_dir})
        config = with_texts_of(old, options["texts"]) if options["texts"] else old
    else:
        old = config = _config(source, config_path, options, force=force and output_dir is None)
    config = with_added(config, "evaluation.metrics", "--metric", metrics)
    if options["texts"]:
        config = with_all_texts(config, options["plugin_files"], options["settings"])
    gates = gates_of(config, fail_under, fail_over)
    folder: Path | None = None  # with a report made for this
    if run is not None and config != old:
        if force:
            raise ConfigError("--force is for what a run has; this is added beside it")
        added = revise(run, old, config, through("generate"), options["plugin_files"], quiet=quiet)
        run = folder = added.run_dir
        evaluation = added.report.evaluation
    elif run is not None:
        evaluation = _of_run(run, options, force, quiet)
    elif output_dir is not None:
        folder = output_dir
        evaluation = _in_folder(source, config, folder, options["plugin_files"], force, quiet)
    else:
        evaluation = _of_suite(source, config, options["plugin_files"])
    if of is None:
        of = "baselines" if source is None or (run and _is_plain(run)) else "prompts"
    results = [gate.check(evaluation, across, of) for gate in gates]
    if junit is not None:
        write_junit(junit, config, evaluation, results)
    if as_json:
        _say_json(evaluation, results)
    else:
        _say(evaluation, results, folder)
    if run:
        from softdiv.storage.run_files import RunFiles

        say_next(RunFiles.of(run), "evaluate")
    context.exit(0 if all(result.passed for result in results) else GATE_FAILED)


def _say_json(evaluation: Evaluation, results: list[GateResult]) -> None:
    from softdiv.report.contract import evaluation_to_contract

    checked = [to_table(result) for result in results]
    say_json({**evaluation_to_contract(evaluation), "gates": checked})


def _say(evaluation: Evaluation, results: list[GateResult], folder: Path | None) -> None:
    from softdiv.cli.verdict import print_evaluation

    print_evaluation(console(), evaluation)
    for note in evaluation.failures:
        say(f"Note: {one_line(note)}")
    for result in results:
        say(f"gate {result}")
    if folder is not None:
        say(f"Report: {folder / REPORT_HTML}")


def _config(
    source: Path | None, config_path: Path | None, options: dict[str, Any], *, force: bool
) -> ExperimentConfig:
    """Of known prompts, or of none."""
    if force:
        raise ConfigError("--force is for a run folder; prompts of a file are always scored")
    if source is None and config_path is None and not options["texts"]:
        raise click.UsageError(
            "give a RUN, PROMPTS.jsonl, or --texts FILE (how the models behave without a prompt)"
        )
    return configured(config_path, options)


def _config_of(run: Path, options: dict[str, Any]) -> ExperimentConfig:
    from softdiv.config.of_run import config_of_run

    if options["output"] is not None:
        raise ConfigError(f"--output-dir cannot be combined with the run {run}")
    refuse_options({**options, "texts": ()}, run)
    return with_plugins(config_of_run(run, options["plugins"]), options["plugins"])


def _is_plain(run: Path) -> bool:
    """Whether it was told to score no prompt: a search that found none is another thing."""
    from softdiv import stored
    from softdiv.storage.run_files import RunFiles

    files = RunFiles.of(run)
    given = files.manifest["facts"].get("prompts") == "given"
    return given and not stored.prompts(files).prompts


def _of_run(run: Path, options: dict[str, Any], force: bool, quiet: bool) -> Evaluation:
    from softdiv import stored

    return stored.evaluation(run_stage("evaluate", run, options, force=force, quiet=quiet))


def _in_folder(
    source: Path | None,
    config: ExperimentConfig,
    folder: Path,
    plugin_files: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> Evaluation:
    from softdiv.stages.replay import PLAIN, read_suite

    prompts = read_suite(source) if source else PLAIN
    pipeline = pipeline_of(config, plugin_files, quiet, folder, prompts=prompts, force=force)
    with only_ours():
        return pipeline.run().report.evaluation


def _of_suite(
    path: Path | None, config: ExperimentConfig, plugin_files: tuple[Path, ...]
) -> Evaluation:
    from softdiv.components import Prepared
    from softdiv.stages.replay import PLAIN, read_suite, replay

    with only_ours():
        prepared = Prepared.of(config, plugin_files)
        return replay(prepared, read_suite(path) if path else PLAIN)
