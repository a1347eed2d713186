from __future__ import annotations

import sys

import pytest

from softdiv.cli.table import print_table

ROWS = [("a", "[bold]x[/bold]"), ("longer", "y\x1b[2J\nz")]


def test_a_pipe_gets_aligned_rows_without_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "what"), ROWS)
    assert capsys.readouterr().out == "a       [bold]x[/bold]\nlonger  y z\n"


def test_nothing_to_show_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "what"), [])
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_header_and_inert_cells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    print_table(("name", "what"), ROWS)
    header, *rows = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert header.split() == ["name", "what"]
    assert rows == ["a       [bold]x[/bold]", "longer  y z"]
