"""``softdiv runs list | show | verify | prune``: the folders that runs leave."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
from rich import filesize

from softdiv.cli.options import FOLDER, json_option
from softdiv.cli.terminal import say, say_json
from softdiv.config.redact import redacted
from softdiv.plain_text import one_line

if TYPE_CHECKING:
    from softdiv.storage.listing import RunInfo

DAMAGED = 5
"""Exit code of ``verify`` when a file is not what it was; a RunError's."""

parent_option = click.option(
    "--dir", "parent", type=FOLDER, default=Path("runs"), show_default=True, help="Folder of runs."
)


@click.group()
def runs() -> None:
    """List, show, verify and prune run folders."""


@runs.command("list")
@parent_option
@json_option
def list_runs(parent: Path, as_json: bool) -> None:
    """Every run: state, verdict, date, size, pair, folder."""
    from softdiv.storage.listing import list_runs as find

    found = find(parent)
    if as_json:
        say_json([_table(info) for info in found])
        return
    for info in found:
        say(_line(info))
    if not found:
        say(f"no run in {parent}")


@runs.command("show")
@click.argument("run", metavar="RUN", type=FOLDER)
@json_option
def show(run: Path, as_json: bool) -> None:
    """One run: its stages, their files, what was left out or failed."""
    from softdiv.storage.listing import revisions, run_info
    from softdiv.storage.manifest import read_manifest

    manifest = read_manifest(run)
    if as_json:
        stages = {"stages": manifest["stages"], "facts": redacted(manifest["facts"])}
        say_json(
            {**_table(run_info(run)), **stages, "revisions": list(map(_table, revisions(run)))}
        )
        return
    say(_line(run_info(run)))
    for name, stage in manifest["stages"].items():
        seconds = f"{stage['seconds']:.1f} s" if "seconds" in stage else ""
        finished, files = one_line(stage["finished"]), ", ".join(stage["files"])
        say(f"{one_line(name):<9} {finished}  {seconds:>9}  {files}")
        for note in stage.get("notes", ()):
            say(f"          note: {one_line(note)}")
    for info in revisions(run):
        say(f"revision  {_line(info)}")
    for key, value in manifest["facts"].items():
        say(f"{one_line(key):<13} {one_line(str(value))}")


@runs.command("verify")
@click.argument("folders", metavar="[RUN]...", nargs=-1, type=FOLDER)
@parent_option
@json_option
@click.pass_context
def verify(context: click.Context, folders: tuple[Path, ...], parent: Path, as_json: bool) -> None:
    """Compare each file with the sha256 in its run's manifest; exit code 5 if one differs."""
    from softdiv.errors import RunError
    from softdiv.storage.listing import list_runs as find

    sound, checked = True, []
    for run in folders or [info.path for info in find(parent)]:
        try:
            problems = _problems(run)
        except RunError as error:
            sound = False
            checked.append({"path": str(run), "intact": False, "problems": [str(error)]})
            say(f"error: {one_line(str(error))}", err=True)
            continue
        sound = sound and not problems
        checked.append({"path": str(run), "intact": not problems, "problems": problems})
        if not as_json:
            say(f"{run}: {'intact' if not problems else 'DAMAGED'}")
            for problem in problems:
                say(f"  {one_line(problem)}")
    if as_json:
        say_json(checked)
    context.exit(0 if sound else DAMAGED)


@runs.command("prune")
@parent_option
@click.option("--unfinished", is_flag=True, help="Runs without a report.")
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Runs created before that."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def prune(
    context: click.Context,
    parent: Path,
    unfinished: bool,
    older_than: float | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove run folders. With both conditions, those that meet both. Never one that is in use."""
    from softdiv.errors import RunError
    from softdiv.storage.listing import list_runs as find, remove_run

    if not unfinished and older_than is None:
        raise click.UsageError("say which runs: --unfinished, --older-than DAYS, or both")
    now = datetime.datetime.now(datetime.timezone.utc)
    chosen = [
        info
        for info in find(parent)
        if info.state not in ("in use", "link")
        and (not unfinished or info.state != "finished")
        and (older_than is None or info.age_days(now) > older_than)
    ]
    for info in chosen:
        say(_line(info))
    if not chosen:
        say("nothing to remove")
        return
    size = filesize.decimal(sum(info.bytes for info in chosen))
    count = f"{len(chosen)} run{'s' if len(chosen) > 1 else ''}"
    if dry_run:
        say(f"would remove {count}, {size}")
        return
    if not yes:
        click.confirm(f"remove {count}, {size}?", abort=True)
    failed: list[RunError] = []
    for info in chosen:
        try:
            remove_run(info.path)
        except RunError as error:  # said at the end: the others go first
            failed.append(error)
    if not failed:
        say(f"removed {count}, {size}")
        return
    for one in failed:
        say(f"error: {one_line(str(one))}", err=True)
    context.exit(failed[0].exit_code)


def _problems(run: Path) -> list[str]:
    from softdiv.storage.run_files import RunFiles

    files = RunFiles.of(run)
    problems = files.changed()
    if not files.done("train"):
        from softdiv.training.checkpoint import changes  # imports torch

        problems += changes(run)
    return problems


def _table(info: RunInfo) -> dict[str, Any]:
    return {**attrs.asdict(info), "path": str(info.path)}


def _line(info: RunInfo) -> str:
    state: str = info.state
    if info.state == "unfinished":
        state += f" after {info.last_stage}" if info.last_stage else " (nothing done)"
    what = info.verdict or info.problem
    columns = (f"{state:<24}", f"{one_line(what):<19}", info.created[:16].replace("T", " "))
    return "  ".join(
        (*columns, f"{filesize.decimal(info.bytes):>8}", one_line(info.pair), str(info.path))
    )
