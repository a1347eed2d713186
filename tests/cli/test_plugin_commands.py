from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from softdiv.cli import main as cli

sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))
from fake_site import install

SOURCE = """
import click
from softdiv import hookimpl

@click.command(short_help="Say hello.")
@click.argument("name")
def greet(name):
    if name == "nobody":
        raise LookupError("nobody there")
    if name == "wrong":
        raise click.UsageError("wrong name")
    click.echo(f"hello {name}")

@hookimpl
def softdiv_register_commands(register):
    register("greet", greet)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("SOFTDIV_PLUGINS", raising=False)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fake_")]:
        del sys.modules[name]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_a_named_plugin_adds_its_command(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "hello", SOURCE)
    assert call("--plugin", "hello", "greet", "you") == 0
    assert capsys.readouterr().out == "hello you\n"
    monkeypatch.setenv("SOFTDIV_PLUGINS", "hello")
    assert call("greet", "us") == 0
    assert call("--help") == 0
    shown = capsys.readouterr().out
    assert "greet" in shown and "Say hello." in shown
    assert call("gret", "us") == 2
    assert "did you mean 'greet'" in capsys.readouterr().err


def test_an_unnamed_plugin_adds_nothing(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "hello", SOURCE)
    assert call("greet", "you") == 2
    assert "fake_softdiv_hello" not in sys.modules


def test_its_failures_are_its_own(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "hello", SOURCE)
    assert call("--plugin", "hello", "greet", "nobody") == 3
    line = capsys.readouterr().err
    assert line == (
        "error: plugin 'hello' (softdiv-hello 1.2) failed in command 'greet': "
        "LookupError: nobody there\n"
    )
    assert call("--plugin", "hello", "greet", "wrong") == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SOURCE.replace('"greet", greet', '"run", greet'), "'run': softdiv has it already"),
        (SOURCE.replace('"greet", greet', '"greet", print'), "decorate the function with @click"),
        ("raise SystemExit(4)", "failed to import: SystemExit: 4"),
        (None, "'hello' is not installed"),
    ],
)
def test_what_cannot_be_added_is_said_and_breaks_no_built_in_command(
    source: str | None,
    message: str,
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if source is not None:
        install(site, "hello", source)
    monkeypatch.setenv("SOFTDIV_PLUGINS", "hello")
    assert call("--help") == 0
    captured = capsys.readouterr()
    assert "observers" in captured.out and message in captured.err
    assert call("pairs", "list") == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "tiny" in captured.out


def test_two_plugins_with_one_command_are_both_named(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "hello", SOURCE)
    install(site, "again", SOURCE)
    monkeypatch.setenv("SOFTDIV_PLUGINS", "hello,again")
    assert call("greet", "you") == 0
    captured = capsys.readouterr()
    assert captured.out == "hello you\n"
    assert "'hello' (softdiv-hello 1.2), 'again' (softdiv-again 1.2)" in captured.err


CATALOGUE = """
plugins:
  - {name: hello, package: softdiv-hello, provides: ["command:greet"]}
"""


@pytest.fixture
def known(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue that says which plugin brings ``greet``."""
    (site / "model_registry.yaml").write_text(CATALOGUE, encoding="utf-8")
    monkeypatch.chdir(site)
    return site


def test_calling_a_known_packages_command_names_its_plugin(
    known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(known, "hello", SOURCE)
    assert call("greet", "you") == 0
    assert capsys.readouterr().out == "hello you\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "plugin 'hello' is known but not installed (pip install softdiv-hello)"),
        (
            SOURCE.replace('"greet", greet', '"hi", greet'),
            "plugin 'hello' (softdiv-hello 1.2) has no command 'greet' "
            "(pip install --upgrade softdiv-hello)",
        ),
    ],
)
def test_a_known_command_that_cannot_be_had_says_what_to_install(
    source: str | None, message: str, known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if source is not None:
        install(known, "hello", source)
    assert call("greet", "you") == 3
    assert capsys.readouterr().err == f"error: {message}\n"
    assert call("gret", "you") == 2
    assert "did you mean 'greet'" in capsys.readouterr().err


def test_a_known_command_is_not_loaded_where_plugins_are_off(
    known: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(known, "hello", SOURCE)
    monkeypatch.setenv("SOFTDIV_DISABLE_PLUGINS", "1")
    assert call("greet", "you") == 3
    assert "SOFTDIV_DISABLE_PLUGINS is set" in capsys.readouterr().err
    assert "fake_softdiv_hello" not in sys.modules


def test_whoever_stops_reading_is_no_failure_of_the_plugin(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = "from softdiv.cli.terminal import ReaderGone\n" + SOURCE.replace(
        'LookupError("nobody there")', "ReaderGone"
    )
    install(site, "hello", gone)
    assert call("--plugin", "hello", "greet", "nobody") == cli.READER_GONE
