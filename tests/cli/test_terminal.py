"""One place prints, and nothing it prints acts on a terminal."""

from __future__ import annotations

import ast
import io
import json
import logging
import warnings
from pathlib import Path

import pytest

import softdiv
from softdiv.cli import terminal

HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2J\x9b31mc\r\u202ed\ne\tf"
CLI = Path(softdiv.__file__).parent / "cli"


@pytest.mark.parametrize("file", sorted(CLI.glob("*.py")), ids=lambda path: path.name)
def test_nothing_else_prints(file: Path) -> None:
    allowed = {"main.py": {"click.echo"}} if file.name != "terminal.py" else None
    nodes = ast.walk(ast.parse(file.read_text()))
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    found = calls & {"print", "click.echo", "click.secho", "rich.console.Console", "Console"}
    assert allowed is None or found <= allowed.get(file.name, set())


def test_a_line_is_one_line_of_visible_characters(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(HOSTILE)
    terminal.say(HOSTILE, err=True)
    terminal.show(terminal.console(), HOSTILE)
    terminal.show(terminal.console(err=True), f"[red]{HOSTILE}", style="bold")
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert text.count("\n") == 2
        assert all(line.isprintable() for line in text.splitlines())
        assert "␛]52;c;" in text and "⟨U+202E⟩" in text
    assert "[red]" in captured.err


def test_a_piece_of_an_answer_keeps_its_line_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    for piece in ("a\x1b", "[2Jb\n", "c"):
        terminal.stream(piece)
    assert capsys.readouterr().out == "a[2Jb\nc"


def test_json_is_ascii_and_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say_json({"text": HOSTILE + "\x7fé"})
    said = capsys.readouterr().out
    assert said.strip().isprintable() and said.isascii()
    assert json.loads(said) == {"text": HOSTILE + "\x7fé"}


def test_what_libraries_log_and_warn_of_is_printable_while_a_command_runs() -> None:
    stream = io.StringIO()
    logger, handler = logging.getLogger("someone"), logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        with terminal.prepared():
            logger.warning("unused: %s", "\x1b[2Jx")
            line = warnings.formatwarning("\x1b[2J", UserWarning, "f", 1)
        logger.warning("%s", "\x1b[0m")
    finally:
        logger.removeHandler(handler)
    assert "unused: ␛[2Jx\n" in stream.getvalue() and stream.getvalue().endswith("\x1b[0m\n")
    assert "␛[2J" in line and "\x1b" not in line


def test_nobody_hears_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    terminal.say("x", err=True)
    terminal.show(terminal.console(err=True), "x")
    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(terminal.ReaderGone):
        terminal.say("x")
    with pytest.raises(terminal.ReaderGone):
        terminal.show(terminal.console(), "x")
