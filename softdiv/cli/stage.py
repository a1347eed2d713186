"""``softdiv train | generate | analyze | report``: one stage on a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import config_options, configured, refuse_options
from softdiv.cli.plugin_options import plugin_file_option
from softdiv.report.plain_text import one_line

if TYPE_CHECKING:
    from softdiv.pipeline import DivergencePipeline

FOLDER = click.Path(path_type=Path)
NEXT = {
    "train": "generate",
    "generate": "evaluate",
    "evaluate": "analyze",
    "analyze": "report",
}

force = click.option(
    "--force", is_flag=True, help="Repeat it; what later stages made from it is dropped."
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")


@click.command()
@click.argument("source", metavar="[CONFIG|RUN]", required=False, type=FOLDER)
@click.option("--output-dir", type=FOLDER, help="Use exactly this run folder.")
@config_options
@force
@quiet_option
def train(
    source: Path | None, output_dir: Path | None, force: bool, quiet: bool, **options: Any
) -> None:
    """Train the soft prompt: of a new run from CONFIG, or of the run folder RUN.

    A training that was stopped goes on; one that has finished is not repeated without --force.
    """
    from softdiv.storage.atomic import read_json
    from softdiv.storage.run import MANIFEST

    if source is not None and (source / MANIFEST).is_file():
        refuse_options(options, source)
        run = run_stage("train", source, options["plugin_files"], force=force, quiet=quiet)
    else:
        config = configured(source, options)

        from softdiv.pipeline import DivergencePipeline

        pipeline = DivergencePipeline(
            config=config,
            run_dir=output_dir,
            plugin_files=options["plugin_files"],
            observers=progress(quiet),
            force=force,
        )
        run = _told(pipeline, "train")
    facts = read_json(run / "training.json")
    click.echo(
        f"soft prompt: validation D {facts['best_bits']:.4f} bits after {facts['steps']} steps "
        f"({one_line(facts['stop_reason'])}), engine {facts['engine']}"
    )
    say_next(run, "train")


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@plugin_file_option
@force
@quiet_option
def generate(run: Path, plugin_files: tuple[Path, ...], force: bool, quiet: bool) -> None:
    """Search text prompts for a trained run, and the baselines at equal cost."""
    from softdiv.storage.atomic import read_json_lines

    run_stage("generate", run, plugin_files, force=force, quiet=quiet)
    for record in read_json_lines(run / "hard_prompts.jsonl"):
        kind = "baseline" if record["baseline"] else "prompt"
        bits = record["validation_bits"]
        score = "" if bits is None else f"  (validation D {bits:.4f} bits)"
        click.echo(f"{kind}  {record['searcher']}: {one_line(record['text'], 100)}{score}")
    say_next(run, "generate")


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@plugin_file_option
@force
@quiet_option
def analyze(run: Path, plugin_files: tuple[Path, ...], force: bool, quiet: bool) -> None:
    """Explain an evaluated run's findings. Loads no model."""
    from softdiv.storage.atomic import read_json

    run_stage("analyze", run, plugin_files, force=force, quiet=quiet)
    for section in read_json(run / "analysis.json"):
        click.echo(f"{one_line(section['title'])}: {one_line(section['summary'])}")
    say_next(run, "analyze")


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@plugin_file_option
@force
@quiet_option
def report(run: Path, plugin_files: tuple[Path, ...], force: bool, quiet: bool) -> None:
    """Write an analyzed run's report. Loads no model."""
    from softdiv.storage.run import read_manifest

    run_stage("report", run, plugin_files, force=force, quiet=quiet)
    for name in read_manifest(run)["stages"]["report"]["files"]:
        click.echo(str(run / name))


def say_finished(run: Path, stage: str) -> None:
    """On standard error: nothing was done, how to do it again, and what is no longer as it was."""
    from softdiv.storage.listing import verify_run
    from softdiv.storage.run import read_manifest

    when = read_manifest(run)["stages"][stage]["finished"]
    what = "this run" if stage == "report" else stage
    click.echo(f"{run}: {what} had finished on {when}; --force repeats it", err=True)
    for problem in verify_run(run):
        click.echo(f"warning: {one_line(problem)}", err=True)


def say_next(run: Path, stage: str) -> None:
    """The command that goes on from here, unless it was given before."""
    from softdiv.storage.run import read_manifest

    if NEXT[stage] not in read_manifest(run)["stages"]:
        click.echo(f"next: softdiv {NEXT[stage]} {shlex.quote(str(run))}", err=True)


def progress(quiet: bool) -> Sequence[tuple[object, str]]:
    """The observers of a command: the progress display, or none."""
    if quiet:
        return ()
    import rich.console

    from softdiv.cli.progress import ProgressObserver

    return [(ProgressObserver(rich.console.Console(stderr=True)), "'progress'")]


def run_stage(
    name: str, run: Path, plugin_files: tuple[Path, ...], *, force: bool, quiet: bool
) -> Path:
    """A stage of an existing run; says so where it had finished before."""
    from softdiv.storage.run import read_manifest

    read_manifest(run)  # a wrong folder is said before torch is imported

    from softdiv.pipeline import DivergencePipeline

    pipeline = DivergencePipeline.of_run(
        run, plugin_files=plugin_files, observers=progress(quiet), force=force
    )
    return _told(pipeline, name)


def _told(pipeline: DivergencePipeline, name: str) -> Path:
    run = pipeline.run_stage(name)
    if pipeline.nothing_to_do:
        say_finished(run, name)
    return run
