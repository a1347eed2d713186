"""``softdiv analyze``: the stage of a run, or more analyzers for a finished one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from softdiv.cli.options import FOLDER
from softdiv.cli.plugin_options import plugin_options, with_plugins
from softdiv.cli.revise import revise, with_added
from softdiv.cli.stage import force, quiet_option, run_stage, say_next
from softdiv.cli.terminal import say
from softdiv.errors import ConfigError
from softdiv.plain_text import one_line
from softdiv.storage.names import REPORT_HTML, through


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option(
    "--analyzer",
    "analyzers",
    multiple=True,
    metavar="NAME",
    help="One more than the run's, or a table: a revision beside it, in RUN/revisions.",
)
@plugin_options
@force
@quiet_option
def analyze(
    run: Path, analyzers: tuple[str, ...], force: bool, quiet: bool, **options: Any
) -> None:
    """Explain an evaluated run's findings. Loads no model, unless an analyzer runs it once more."""
    from softdiv import stored
    from softdiv.storage.run_files import RunFiles

    if analyzers:
        if force:
            raise ConfigError("--force is for what a run has; this is added beside it")
        from softdiv.config.of_run import config_of_run

        old = with_plugins(config_of_run(run, options["plugins"]), options["plugins"])
        new = with_added(old, "analysis.analyzers", "--analyzer", analyzers)
        result = revise(run, old, new, through("evaluate"), options["plugin_files"], quiet=quiet)
        done = RunFiles.of(result.run_dir)
    else:
        done = run_stage("analyze", run, options, force=force, quiet=quiet)
    for section in stored.sections(done):
        say(f"{one_line(section.title)}: {one_line(section.summary)}")
    if analyzers:
        say(f"Report: {done.path / REPORT_HTML}")
    say_next(done, "analyze")
