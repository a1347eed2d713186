"""The one place that prints: what is said can be shown by any terminal, and acts on none.

Prompts, answers, names of searchers and folders are other people's words. An escape sequence in
them could set the clipboard or the title, or write over what was said before.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any

import click

from softdiv.errors import DiskError
from softdiv.plain_text import one_line, strip_hidden, visible
from softdiv.storage.refusal import refusal

if TYPE_CHECKING:
    from rich.console import Console


class ReaderGone(Exception):
    """Standard output was closed at its other end; click would end a BrokenPipeError as a failure
    of its own."""


def say(line: object = "", *, err: bool = False) -> None:
    """One line on standard output, or on standard error, where nothing can be done if it fails.

    Raises:
        ReaderGone: nobody reads standard output any more.
        DiskError: standard output is a file that cannot be written.
    """
    with written(err):
        click.echo(printable(str(line)), err=err)


def stream(piece: str) -> None:
    """A piece of an answer, without a line's end; its own line breaks stay. Raises as `say`."""
    # piece by piece: no control character passes, even of a sequence cut in two
    with written(False):
        click.echo(strip_hidden(piece), nl=False)


def say_json(value: object, *, indent: int | None = None) -> None:
    """JSON of plain values, in ASCII. Raises as `say`."""
    text = json.dumps(value, indent=indent, ensure_ascii=True).replace("\x7f", "\\u007f")
    with written(False):
        click.echo(text)


def say_rows(rows: Iterable[tuple[str, str]], *, width: int, as_json: bool, **more: Any) -> None:
    """Facts with labels, one a line, or one JSON object: a label that comes twice has a list.

    Args:
        width: of the labels' column.
        more: what only the JSON has.
    """
    rows = list(rows)
    if not as_json:
        for label, value in rows:
            say(f"{label:<{width}} {one_line(value)}")
        return
    values: dict[str, list[str]] = {}
    for label, value in rows:
        values.setdefault(label, []).append(value)
    said = {key: found[0] if len(found) == 1 else found for key, found in values.items()}
    say_json({**said, **more})


@contextmanager
def only_ours() -> Iterator[None]:
    """What plugins and libraries print goes to standard error: standard output is for results."""
    with redirect_stdout(sys.stderr):
        yield


def ask(question: str, default: str | None = None) -> str:
    """What the user types, on a line of its own.

    Raises:
        click.Abort: there is nobody to answer.
    """
    answer: str = click.prompt(question, default=default, show_default=False, err=True)
    return answer.strip()


def printable(line: str) -> str:
    """One line: every hidden character, and every line break, as a visible mark."""
    return visible(line).replace("\n", "␤").replace("\t", " ")


def console(*, err: bool = False) -> Console:
    """For styles and tables on a terminal; plain text elsewhere. Print on it with `show`."""
    import rich.console

    class Plain(rich.console.Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the process

    return Plain(stderr=err, highlight=False)


def show(console: Console, line: str = "", style: str | None = None) -> None:
    """One line on a console of `console`, never read as markup. Raises as `say`."""
    with written(console.stderr):
        console.print(printable(line), style=style, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def prepared() -> Iterator[None]:
    """While a command runs: a terminal of few characters gets escapes instead of an error, and
    what libraries log or warn of is printable too."""
    for each in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # not a stream of Python's own, or closed
            each.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    make_record, format_warning = logging.getLogRecordFactory(), warnings.formatwarning

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make_record(*args, **kwargs)
        with suppress(Exception):  # a message that does not fit its arguments is logging's to name
            made.msg, made.args = visible(made.getMessage()), ()
        return made

    def formatted(*args: Any, **kwargs: Any) -> str:
        return visible(format_warning(*args, **kwargs))

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is no news
    logging.setLogRecordFactory(record)
    warnings.formatwarning = formatted
    try:
        yield
    finally:
        logging.setLogRecordFactory(make_record)
        warnings.formatwarning = format_warning


def flush() -> None:
    """What was said so far leaves the process. Raises as `say`."""
    if sys.stdout is not None:
        with written(False):
            sys.stdout.flush()


def settle() -> None:
    """Say what is left to say; where standard output refuses it, it must not do so at exit too."""
    try:
        flush()
    except (OSError, DiskError):
        abandon_output()


def abandon_output() -> None:
    """Standard output is gone: what is still in its buffer must not be an error at exit."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def written(err: bool = False) -> Iterator[None]:
    """Around what prints: see `say`."""
    try:
        yield
    except BrokenPipeError as error:
        if not err:
            raise ReaderGone from error
    except OSError:
        if not err:
            with refusal("standard output", "written", "make room, or send it elsewhere"):
                raise
