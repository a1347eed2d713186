"""``softdiv train | generate | analyze | report``: one stage on a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import FOLDER, config_options, configured, refuse_options, texts_option
from softdiv.cli.plugin_options import plugin_options
from softdiv.cli.terminal import console, only_ours, say
from softdiv.plain_text import one_line
from softdiv.storage.names import MANIFEST, STAGES

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig
    from softdiv.pipeline import DivergencePipeline
    from softdiv.storage.run_files import RunFiles

force = click.option(
    "--force", is_flag=True, help="Repeat it; what later stages made from it is dropped."
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")


@click.command()
@click.argument("source", metavar="[CONFIG|RUN]", required=False, type=FOLDER)
@click.option("--output-dir", type=FOLDER, help="Use exactly this run folder.")
@config_options
@texts_option
@force
@quiet_option
def train(
    source: Path | None, output_dir: Path | None, force: bool, quiet: bool, **options: Any
) -> None:
    """Train the soft prompt: of a new run from CONFIG, or of the run folder RUN.

    A training that was stopped goes on; one that has finished is not repeated without --force.
    """
    if source is not None and (source / MANIFEST).is_file():
        refuse_options(options, source)
        run = run_stage("train", source, options, force=force, quiet=quiet)
    else:
        config = configured(source, options)
        pipeline = pipeline_of(config, options["plugin_files"], quiet, output_dir, force=force)
        run = _told(pipeline, "train")
    from softdiv import stored

    facts = stored.training_facts(run)
    best = "none" if facts.best_bits is None else f"validation D {facts.best_bits:.4f} bits"
    say(
        f"soft prompt: {best} after {facts.steps} steps "
        f"({one_line(facts.stop_reason)}), engine {one_line(facts.engine)}"
    )
    say_next(run, "train")


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@plugin_options
@force
@quiet_option
def generate(run: Path, force: bool, quiet: bool, **options: Any) -> None:
    """Search text prompts for a trained run, and the baselines at equal cost."""
    done = run_stage("generate", run, options, force=force, quiet=quiet)

    from softdiv import stored

    found = stored.prompts(done)
    both = [("prompt", one) for one in found.prompts] + [("baseline", p) for p in found.baselines]
    for kind, one in both:
        score = ""
        if one.validation_bits is not None and one.validation_llr is not None:
            score = f"  (validation: D {one.validation_bits:.4f} bits, "
            score += f"ratio {one.validation_llr:.2f} nats per answer)"
        say(f"{kind}  {one_line(one.searcher)}: {one_line(one.text, 100)}{score}")
    say_next(done, "generate")


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@plugin_options
@force
@quiet_option
def report(run: Path, force: bool, quiet: bool, **options: Any) -> None:
    """Write an analyzed run's report. Loads no model."""
    done = run_stage("report", run, options, force=force, quiet=quiet)
    for name in done.stage("report")["files"]:
        say(run / name)


def say_finished(run: Path, stage: str) -> None:
    """On standard error: nothing was done, how to do it again, and what is no longer as it was."""
    from softdiv.storage.run_files import RunFiles

    files = RunFiles.of(run)
    what = "this run" if stage == "report" else stage
    when = one_line(files.stage(stage)["finished"])
    say(f"{run}: {what} had finished on {when}; --force repeats it", err=True)
    for problem in files.changed():
        say(f"warning: {one_line(problem)}", err=True)


def say_next(run: RunFiles, stage: str) -> None:
    """The command that goes on from here, unless it was given before."""
    after = STAGES[STAGES.index(stage) + 1]
    if not run.done(after):
        say(f"next: softdiv {after} {shlex.quote(str(run.path))}", err=True)


def progress(quiet: bool) -> Sequence[tuple[object, str]]:
    """The observers of a command: the progress display, or none."""
    if quiet:
        return ()
    from softdiv.cli.progress import ProgressObserver

    return [(ProgressObserver(console(err=True)), "'progress'")]


def pipeline_of(
    config: ExperimentConfig,
    plugin_files: Sequence[Path],
    quiet: bool,
    run_dir: Path | None = None,
    **more: Any,
) -> DivergencePipeline:
    """A pipeline with its progress display."""
    from softdiv.pipeline import DivergencePipeline

    return _watched(
        DivergencePipeline(
            config=config,
            run_dir=run_dir,
            plugin_files=plugin_files,
            observers=progress(quiet),
            **more,
        )
    )


def _watched(pipeline: DivergencePipeline) -> DivergencePipeline:
    """The pipeline, whose progress display knows what it has spent so far."""
    from softdiv.cli.progress import ProgressObserver

    for observer, _ in pipeline.observers:
        if isinstance(observer, ProgressObserver):
            observer.ticker.spent = lambda: pipeline.spent
    return pipeline


def run_stage(
    name: str, run: Path, options: Mapping[str, Any], *, force: bool, quiet: bool
) -> RunFiles:
    """A stage of an existing run; says so where it had finished before."""
    from softdiv.storage.manifest import read_manifest

    read_manifest(run)  # a wrong folder is said before torch is imported

    from softdiv.pipeline import DivergencePipeline

    pipeline = DivergencePipeline.of_run(
        run,
        plugins=options["plugins"],
        plugin_files=options["plugin_files"],
        observers=progress(quiet),
        force=force,
    )
    return _told(_watched(pipeline), name)


def _told(pipeline: DivergencePipeline, name: str) -> RunFiles:
    from softdiv.storage.run_files import RunFiles

    with only_ours():
        run = pipeline.run_stage(name)
    if pipeline.nothing_to_do:
        say_finished(run, name)
    return RunFiles.of(run)
