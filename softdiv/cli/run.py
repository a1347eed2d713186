"""``softdiv run``: options to a config, the pipeline, the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from softdiv.cli.options import FOLDER, config_options, configured, json_option, texts_option
from softdiv.cli.terminal import console, only_ours, say_json
from softdiv.cli.words import what_is_meant


@click.command()
@click.argument("words", metavar="[CONFIG] [MODEL_1 MODEL_2]", nargs=-1)
@click.option("--output-dir", type=FOLDER, help="Use exactly this run folder.")
@config_options
@texts_option
@click.option("--force", is_flag=True, help="Start anew although this run has begun or finished.")
@click.option("--dry-run", is_flag=True, help="Check everything and estimate; load no model.")
@click.option("--quiet", is_flag=True, help="No progress; only the verdict.")
@json_option
def run(
    words: tuple[str, ...],
    output_dir: Path | None,
    force: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare two models and report how they differ. The same command continues a stopped run.

    MODEL_1 is the original, MODEL_2 the one under suspicion: folders, GGUF files or hub ids.
    Without CONFIG the shipped quickstart config is used. A run that has finished is shown again;
    with --force it is repeated, in a new folder unless --output-dir names one.
    """
    config_path, models = what_is_meant(words, options)
    config = configured(config_path, {**options, **models})
    if dry_run:
        from softdiv.cli.plan import print_plan

        print_plan(config, options["plugin_files"], as_json=as_json)
        return

    from softdiv.cli.stage import pipeline_of, say_finished
    from softdiv.cli.verdict import print_verdict

    pipeline = pipeline_of(config, options["plugin_files"], quiet, output_dir, force=force)
    with only_ours():
        result = pipeline.run()
    if pipeline.nothing_to_do:
        say_finished(result.run_dir, "report")
    if as_json:
        from softdiv.report.contract import to_contract

        say_json({"run_dir": str(result.run_dir.absolute()), **to_contract(result.report)})
        return
    print_verdict(console(), result.report, result.run_dir)
