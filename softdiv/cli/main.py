"""``softdiv``: the command group, and how errors become one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from softdiv import __version__
from softdiv.errors import ConfigError, SoftdivError, did_you_mean
from softdiv.report.plain_text import strip_hidden

INTERRUPTED = 75
"""Exit code of a run that was stopped and can be continued (EX_TEMPFAIL)."""

# OpenMP reads these once, when torch is imported. Its default is to spin between operations,
# which starves the second of two processes that share a machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("softdiv.cli.run:run", "Compare two models: all of the stages below, in order."),
    "train": ("softdiv.cli.stage:train", "Stage 1: a soft prompt that pushes the models apart."),
    "generate": ("softdiv.cli.stage:generate", "Stage 2: text prompts from the soft prompt."),
    "evaluate": ("softdiv.cli.evaluate:evaluate", "Stage 3: held-out scores; or known prompts."),
    "analyze": ("softdiv.cli.stage:analyze", "Stage 4: where and on what the models differ."),
    "report": ("softdiv.cli.stage:report", "Stage 5: report.html, report.md, report.json."),
    "compare": ("softdiv.cli.compare:compare", "Two runs side by side."),
    "chat": ("softdiv.cli.chat:chat", "Both models' answers side by side."),
    "runs": ("softdiv.cli.runs:runs", "List, show, verify and prune run folders."),
    "doctor": ("softdiv.cli.doctor:doctor", "What is installed and usable on this machine."),
    "pairs": ("softdiv.cli.registry_list:pairs", "Known pairs; can two models be compared?"),
    "plugins": ("softdiv.cli.registry_list:plugins", "The plugins that are installed."),
    "organisms": ("softdiv.cli.organisms:organisms", "Train and check planted differences."),
}


class LazyGroup(click.Group):
    """Imports a command's module when it is called, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a hint for a misspelt command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS)
            raise click.UsageError(f"no command '{args[0]}' ({hint})", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From :data:`COMMANDS`, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="softdiv")
def softdiv() -> None:
    """How do two language models behave differently, and how sure are we?"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; always ends in SystemExit.

    Exit codes: 0, a :class:`SoftdivError`'s own, 2 for wrong usage, 75 when interrupted. Any other
    exception is a bug in softdiv and keeps its traceback.
    """
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = softdiv.main(
            list(arguments) if arguments is not None else None,
            prog_name="softdiv",
            standalone_mode=False,
        )
    except SoftdivError as error:
        _say(*_lines(error))
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        _say(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        _say("interrupted; the same command continues the run")
        return INTERRUPTED
    return result if isinstance(result, int) else 0  # an int is the code of --help and the like


def _lines(error: SoftdivError) -> list[str]:
    if not isinstance(error, ConfigError):
        return [str(error)]
    lines = list(error.problems)
    if error.fix and lines:
        lines[-1] += f" ({error.fix})"
    return lines


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(f"error: {' '.join(strip_hidden(line).split())}", err=True)
