from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from softdiv import __version__
from softdiv.cli import main as cli
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError, DiskError, Interrupted, PairError


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    shown = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert name in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert __version__ in capsys.readouterr().out


def test_no_help_imports_torch_and_openmp_is_set() -> None:
    """Every command and subcommand there is, in one process: the first guilty one is named."""
    code = """
import os, sys
import click
from softdiv.cli.main import main, softdiv

def help_of(command, path):
    try:
        main([*path, "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0, path
    bad = {"torch", "transformers", "jinja2", "numpy", "scipy"} & set(sys.modules)
    assert not bad, (path, bad)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            help_of(command.get_command(context, name), [*path, name])

help_of(softdiv, [])
assert os.environ["GOMP_SPINCOUNT"] == "0" and os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: softdiv") > len(cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("rnu",), "did you mean 'run'?"),
        (("run", "--outptu-dir", "x"), "--output-dir"),
        (("run", "--quantize", "int3"), "int4"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert hint in captured.err


def test_missing_config_names_its_neighbour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "smoke.toml").write_text("")
    assert call("run", str(tmp_path / "smok.toml")) == 2
    assert "did you mean 'smoke.toml'?" in capsys.readouterr().err


def test_every_problem_of_a_config_has_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('seeed = 1\n[training]\nbatch_size = "4"\n')
    assert call("run", str(path)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("error: ") for line in lines)
    assert any("c.toml:1" in line and "'seed'" in line for line in lines)
    assert any("c.toml:3" in line for line in lines)


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (PairError("no\x1b[2J model", why="gone"), 4, ["error: no model: gone"]),
        (ConfigError(["a", "b"], fix="c"), 2, ["error: a", "error: b (c)"]),
        (KeyboardInterrupt(), 75, ["error: interrupted; the same command continues the run"]),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException,
    code: int,
    shown: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli.softdiv, "get_command", lambda ctx, name: broken)
    assert call("run") == code
    assert [line for line in capsys.readouterr().err.splitlines() if line] == shown


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.softdiv, "get_command", lambda ctx, name: broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["run"])


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_loads(name: str) -> None:
    command = cli.softdiv.get_command(click.Context(cli.softdiv), name)
    assert isinstance(command, click.Command)


def _stopped(*args: Any, **kwargs: Any) -> None:
    raise Interrupted("SIGTERM: stopped after step 4; to continue: softdiv run x")


@pytest.mark.parametrize(
    ("rank", "said"),
    [("0", "error: SIGTERM: stopped after step 4; to continue: softdiv run x"), ("1", "")],
)
def test_an_interrupted_run_exits_75_and_rank_0_says_how_to_continue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str, said: str
) -> None:
    launched(monkeypatch, rank)
    monkeypatch.setattr("softdiv.pipeline.DivergencePipeline.run", _stopped)
    assert call("run", str(config_path("smoke"))) == 75
    assert capsys.readouterr().err.strip() == said


def test_sigterm_is_like_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        "softdiv.pipeline.DivergencePipeline.run", lambda self: signal.raise_signal(signal.SIGTERM)
    )
    assert call("run", str(config_path("smoke"))) == 75
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_deepspeed_launchers_argument_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--local_rank=1", "plugins", "--help") == 0


def launched(monkeypatch: pytest.MonkeyPatch, rank: str) -> None:
    told = {"WORLD_SIZE": "2", "RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)


def test_other_ranks_leave_config_errors_to_rank_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []

    def ended(seconds: float) -> None:
        waited.append(seconds)
        raise KeyboardInterrupt  # a launcher's SIGTERM, once rank 0 has ended

    monkeypatch.setattr("softdiv.cli.main.time.sleep", ended)
    launched(monkeypatch, "1")
    assert call("run", "no-such.toml") == 2
    assert capsys.readouterr().err == ""
    assert waited == [5.0]  # a launcher would end rank 0 before it has spoken


def test_where_no_launcher_ends_it_another_rank_speaks_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("softdiv.cli.main.time.sleep", lambda seconds: None)
    launched(monkeypatch, "1")
    assert call("run", "no-such.toml") == 2
    assert capsys.readouterr().err.startswith("error: rank 1: config no-such.toml does not exist")


@pytest.mark.parametrize("left", [{"RANK": "3"}, {"RANK": "x"}, {"WORLD_SIZE": "2"}])
def test_what_a_launcher_left_in_the_shell_silences_nothing(
    left: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    assert call("run", "no-such.toml") == 2
    assert capsys.readouterr().err.startswith("error: config no-such.toml does not exist")


def broken(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli.softdiv, "get_command", lambda ctx, name: command)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(28, "No space left on device", "x"), "x cannot be used: No space left on device"),
        (OSError(24, "Too many open files"), "the system refused: Too many open files"),
        (DiskError("x cannot be written", why="it is full"), "x cannot be written: it is full"),
    ],
)
def test_what_the_system_refuses_has_its_own_code(
    error: Exception,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(error, monkeypatch)
    assert call("run") == 8
    assert capsys.readouterr().err.startswith(f"error: {shown}")


def test_an_error_of_the_system_that_may_be_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(FileNotFoundError(2, "No such file", "x"), monkeypatch)
    with pytest.raises(FileNotFoundError):
        cli.main(["run"])


def softdiv(arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m softdiv {arguments}"],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_a_reader_that_goes_early_is_no_traceback_and_no_success() -> None:
    command = [sys.executable, "-m", "softdiv", "plugins", "hooks", "--markdown"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=60) == 141
    assert said == b""
    done = softdiv("pairs list >&- 2>&-")
    assert done.returncode == 0 and done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_standard_output_is_one_line() -> None:
    done = softdiv("pairs list > /dev/full")
    assert done.returncode == 8
    assert done.stderr.startswith(b"error: standard output cannot be written: No space left")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_every_terminal_can_show_what_is_said(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "é“→.toml").write_text("seeed = 1\n")
    done = softdiv(f"run '{tmp_path}/é“→.toml'", PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ") and b"Traceback" not in done.stderr
    done = softdiv("metrics list", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [("softdiv ev", "plain,evaluate"), ("softdiv run --quant", "plain,--quantize")],
)
def test_the_shell_completes_commands_and_options(
    words: str,
    offered: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the line in docs/cli.md makes a shell ask."""
    monkeypatch.setenv("_SOFTDIV_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 0
    assert offered in capsys.readouterr().out.splitlines()
