"""Score text prompts on held-out user texts and report: the last three stages of a run."""

from __future__ import annotations

from pathlib import Path

import click

from softdiv.cli.main import main
from softdiv.cli.terminal import console, say

PATH = click.Path(path_type=Path)


@click.command("evaluate_hard_prompts.py")
@click.option("--config", "config_path", required=True, type=PATH)
@click.option("--prompts-file", required=True, type=PATH, help='One {"text": ...} per line.')
@click.option("--output-dir", required=True, type=PATH, help="The run folder.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="pair.name=tiny")
@click.option("--quiet", is_flag=True, help="No progress.")
def evaluate(
    config_path: Path,
    prompts_file: Path,
    output_dir: Path,
    settings: tuple[str, ...],
    quiet: bool,
) -> None:
    """Score the prompts of PROMPTS_FILE, analyze the answers, and write the report.

    For prompts.pt the prompts.jsonl beside it is taken: prompts are text.
    """
    from softdiv import DivergencePipeline, ExperimentConfig
    from softdiv.cli.stage import progress
    from softdiv.cli.verdict import print_verdict
    from softdiv.stages.replay import read_suite
    from softdiv.storage.locate import as_jsonl

    def note(line: str) -> None:
        say(f"note: {line}", err=True)

    pipeline = DivergencePipeline(
        config=ExperimentConfig.from_file(config_path, settings),
        run_dir=output_dir,
        prompts=read_suite(as_jsonl(prompts_file, note)),
        observers=progress(quiet),
    )
    result = pipeline.run()
    print_verdict(console(), result.report, result.run_dir)


if __name__ == "__main__":
    main(command=evaluate)
