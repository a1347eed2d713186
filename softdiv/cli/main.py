"""``softdiv``: the command group, and how errors become one line and an exit code."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import click

from softdiv import __version__
from softdiv.cli import terminal
from softdiv.config.redact import redacted
from softdiv.errors import ConfigError, DiskError, SoftdivError, did_you_mean
from softdiv.plain_text import strip_hidden
from softdiv.ranks.launch import rank_label
from softdiv.storage.refusal import FIXES, disk_error

INTERRUPTED = 75
"""Exit code of a run that was stopped and can be continued (EX_TEMPFAIL)."""

READER_GONE = 141
"""Exit code where standard output was closed before all was said, as by ``| head``: the shell's
for a process that SIGPIPE ended. No success: what was not said may be that a limit was not kept."""

FIRST_RANK_SPEAKS = 5.0
"""Seconds other ranks leave to rank 0 to tell a mistake that all of them have met."""

# OpenMP reads these once, when torch is imported. Its default is to spin between operations,
# which starves the second of two processes that share a machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("softdiv.cli.init:init", "Write a commented config for two models."),
    "run": ("softdiv.cli.run:run", "Compare two models: all of the stages below, in order."),
    "train": ("softdiv.cli.stage:train", "Stage 1: a soft prompt that pushes the models apart."),
    "generate": ("softdiv.cli.stage:generate", "Stage 2: text prompts from the soft prompt."),
    "evaluate": ("softdiv.cli.evaluate:evaluate", "Stage 3: held-out scores; or known prompts."),
    "analyze": ("softdiv.cli.analyze:analyze", "Stage 4: where and on what the models differ."),
    "report": ("softdiv.cli.stage:report", "Stage 5: report.html, report.md, report.json."),
    "calibrate": ("softdiv.cli.calibrate:calibrate", "Benign pairs searched alike: p-values."),
    "compare": ("softdiv.cli.compare:compare", "Two runs side by side."),
    "view": ("softdiv.cli.view:view", "Every answer of a run in the browser, locally."),
    "sweep": ("softdiv.cli.sweep:sweep", "Several pairs, one table: checkpoints, adapters, ..."),
    "export": ("softdiv.cli.export:export", "A run for PEFT, vLLM, Inspect, lm-eval, ..."),
    "chat": ("softdiv.cli.chat:chat", "Both models' answers side by side."),
    "runs": ("softdiv.cli.runs:runs", "List, show, verify and prune run folders."),
    "doctor": ("softdiv.cli.doctor:doctor", "What is installed and usable on this machine."),
    "pairs": ("softdiv.cli.pairs:pairs", "Known pairs; can two models be compared?"),
    "plugins": ("softdiv.cli.plugins:plugins", "List, show, write and check plugins."),
    "models": ("softdiv.cli.components:models", "Loaders for the models of a pair."),
    "processors": ("softdiv.cli.components:processors", "Sources and filters of user texts."),
    "losses": ("softdiv.cli.components:losses", "What training maximises."),
    "metrics": ("softdiv.cli.components:metrics", "Numbers reported for every prompt."),
    "searchers": ("softdiv.cli.components:searchers", "What proposes text prompts."),
    "analyzers": ("softdiv.cli.components:analyzers", "Sections of the report."),
    "observers": ("softdiv.cli.components:observers", "What is told of each step of a run."),
}


_ADDED = "softdiv.commands of plugins"


class LazyGroup(click.Group):
    """Imports a command's module when it is called, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of :data:`COMMANDS`, then what the plugins named by the user add."""
        return [*COMMANDS, *self._of_plugins(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; of a known package too, whose plugin that names."""
        if cmd_name not in COMMANDS:
            from softdiv.cli.plugin_commands import load_packaged

            return self._of_plugins(ctx).get(cmd_name) or load_packaged(cmd_name, COMMANDS)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a hint for a misspelt command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            if (command := self.get_command(ctx, args[0])) is not None:
                return args[0], command, args[1:]
            from softdiv.cli.plugin_commands import packaged

            hint = did_you_mean(args[0], [*self.list_commands(ctx), *packaged()])
            raise click.UsageError(f"no command '{args[0]}' ({hint})", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From :data:`COMMANDS`, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])
        added = self._of_plugins(ctx)
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(
                    [(n, command.get_short_help_str()) for n, command in added.items()]
                )
        formatter.write_paragraph()
        formatter.write_text("Packages bring more: softdiv plugins list --all")

    def _of_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        """Loaded once, and only where a plugin is named or a command is not built in."""
        if _ADDED not in ctx.meta:
            from softdiv.plugin.declared import declared

            names = ctx.params.get("plugins", ())
            if not declared(command_line=names):
                return {}
            from softdiv.cli.plugin_commands import load_commands

            ctx.meta[_ADDED] = load_commands(names, COMMANDS, _say)
        found: dict[str, click.Command] = ctx.meta[_ADDED]
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="softdiv")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="NAME",
    is_eager=True,
    help="An installed plugin: its commands appear, and it is loaded for a run.",
)
# the deepspeed launcher puts it before the command; the environment says the same
@click.option("--local_rank", "--local-rank", type=int, hidden=True, expose_value=False)
def softdiv(plugins: tuple[str, ...]) -> None:
    """How do two language models behave differently, and how sure are we?"""


def main(arguments: Sequence[str] | None = None, command: click.Command | None = None) -> None:
    """Entry point; always ends in SystemExit.

    Args:
        command: run this one, as ``scripts/`` do, in place of ``softdiv``.

    Exit codes: 0, a :class:`SoftdivError`'s own, 2 for wrong usage, 75 when interrupted, 141 when
    nobody reads standard output. Any other exception is a bug in softdiv and keeps its traceback.
    """
    _trace_plugins()
    sys.exit(_run(arguments, command or softdiv))


def _trace_plugins() -> None:
    """Print every hook call on standard error, where ``SOFTDIV_TRACE_PLUGINS`` asks for it."""
    from softdiv.plugin import trace

    if os.environ.get(trace.TRACE, "") in ("", "0") or trace.logger.handlers:
        return
    trace.logger.addHandler(logging.StreamHandler())  # stderr
    trace.logger.setLevel(logging.INFO)
    trace.logger.propagate = False


def _run(arguments: Sequence[str] | None, command: click.Command) -> int:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        with terminal.prepared():
            return _exit_code(arguments, command)
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_code(arguments: Sequence[str] | None, command: click.Command) -> int:
    try:
        try:
            code = command.main(
                list(arguments) if arguments is not None else None,
                prog_name=command.name,
                standalone_mode=False,
            )
            terminal.flush()
        except terminal.ReaderGone:
            terminal.abandon_output()
            return READER_GONE
        except OSError as error:
            if error.errno not in FIXES:
                raise  # perhaps a bug
            what = f"{error.filename} cannot be used" if error.filename else "the system refused"
            raise disk_error(what, error) from error
    except SoftdivError as error:
        return _told(error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        _say(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort) as stopped:
        if rank_label() in ("", "0"):
            cause = stopped.__cause__ or stopped  # click raises an Abort of its own
            _say(str(cause) or "interrupted; the same command continues the run")
        return INTERRUPTED
    return code if isinstance(code, int) else 0  # an int is the code of --help and the like


def _told(error: SoftdivError) -> int:
    """Say what is wrong; under a launcher, once."""
    rank = rank_label()
    lines = _lines(error)
    if rank not in ("", "0"):
        lines = [f"rank {rank}: {line}" for line in lines]
        if isinstance(error, ConfigError):  # rank 0 has the same one to tell
            # and a launcher ends it as soon as another rank has ended
            with suppress(KeyboardInterrupt):  # which is how it ends this one
                time.sleep(FIRST_RANK_SPEAKS)
                _say(*lines)
            return error.exit_code
    _say(*lines)
    if isinstance(error, DiskError):
        terminal.settle()
    return error.exit_code


def _lines(error: SoftdivError) -> list[str]:
    if not isinstance(error, ConfigError):
        return [str(error)]
    lines = list(error.problems)
    if error.fix and lines:
        lines[-1] += f" ({error.fix})"
    return lines


def _say(*lines: str) -> None:
    for line in lines:
        shown = redacted(" ".join(strip_hidden(line).split()))
        terminal.say(f"error: {shown}", err=True)
