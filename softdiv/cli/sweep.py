"""``softdiv sweep CONFIG --over KEY=a,b,c``: several pairs, one table, one plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import FOLDER, config_options, configured, json_option, texts_option
from softdiv.cli.stage import pipeline_of, quiet_option
from softdiv.cli.terminal import only_ours, say, say_json

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig
    from softdiv.pipeline import DivergencePipeline
    from softdiv.search.generator import SearchResult
    from softdiv.sweep.members import Member


@click.command()
@click.argument("config_path", metavar="[CONFIG]", required=False, type=FOLDER)
@click.option("--over", required=True, metavar="KEY=A,B,C", help="pair.model_2.revision=a,b,c")
@click.option("--output-dir", type=FOLDER, required=True, help="One folder for all of it.")
@config_options
@texts_option
@click.option(
    "--prompts", "prompts_file", type=FOLDER, help="Score these (JSONL) in place of any search."
)
@quiet_option
@json_option
def sweep(
    config_path: Path | None,
    over: str,
    output_dir: Path,
    prompts_file: Path | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare several pairs that differ in one key: checkpoints, quantisations, adapters.

    Each is a run of its own; then all their prompts are scored on all of them. The same command
    continues a stopped sweep, and one with more values keeps what has finished. sweep.csv and
    sweep.json have the numbers, sweep.svg the plot.
    """
    from softdiv.sweep.members import Member, Series

    series = Series.of(over)
    members = [
        Member(name=name, value=value, place=place, config=_config(config_path, options, setting))
        for (name, setting), value, place in zip(
            series.settings.items(), series.values, series.places, strict=True
        )
    ]

    from softdiv.stages.replay import read_suite
    from softdiv.storage.atomic import read_json
    from softdiv.sweep.series import sweep
    from softdiv.sweep.table import JSON, PNG, SVG

    def opened(
        config: ExperimentConfig, run_dir: Path, given: SearchResult | None
    ) -> DivergencePipeline:
        return pipeline_of(config, options["plugin_files"], quiet, run_dir, prompts=given)

    def told(what: str, member: Member, before: bool) -> None:
        say(f"{what}  {member.name}{'  (had finished)' if before else ''}", err=True)

    prompts = read_suite(prompts_file) if prompts_file else None
    with only_ours():
        table = sweep(series, members, output_dir, prompts=prompts, opened=opened, told=told)
    if as_json:
        say_json(read_json(output_dir / JSON))
        return
    from softdiv.cli.table import print_table

    shown = table.shown()
    print_table(shown.columns, [[str(cell) for cell in row] for row in shown.rows])
    say(f"wrote {output_dir / JSON}, sweep.csv, {SVG}, {PNG}")


def _config(path: Path | None, options: dict[str, Any], setting: str) -> ExperimentConfig:
    return configured(path, {**options, "settings": (*options["settings"], setting)})
