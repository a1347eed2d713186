"""What a launcher left in the shell: used where it is whole, and otherwise one line."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from softdiv.errors import ConfigError, TrainingError
from softdiv.ranks.launch import Launch, launched_as, rank_label, world_size
from softdiv.ranks.rendezvous import met

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
WHOLE = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
MEND = ": start with torchrun, or unset WORLD_SIZE"


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_all_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **WHOLE)
    launch = Launch.from_environment()
    assert launch == Launch(rank=1, world=2, local_rank=1, host="localhost", port=29500)
    assert rank_label() == "1" and world_size() == 2
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert Launch.from_environment() != launch


@pytest.mark.parametrize("left", [{}, {"RANK": "5"}, {"WORLD_SIZE": "1", "RANK": "x"}])
def test_one_process_needs_nothing_of_it(
    left: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, **left)
    assert Launch.from_environment() is None and rank_label() == ""
    assert launched_as() == "softdiv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RANK": ""}, "WORLD_SIZE is 2 but RANK is not set"),
        ({"MASTER_ADDR": " "}, "WORLD_SIZE is 2 but MASTER_ADDR is not set"),
        ({"MASTER_PORT": ""}, "WORLD_SIZE is 2 but MASTER_PORT is not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', expected the number of processes"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0', expected the number of processes"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE is '-1', expected the number of processes"),
        ({"WORLD_SIZE": "9" * 5000}, "expected the number of processes"),
        ({"RANK": "2"}, "WORLD_SIZE is 2 but RANK is '2', expected a number below 2"),
        ({"RANK": "-1"}, "WORLD_SIZE is 2 but RANK is '-1', expected a number below 2"),
        ({"RANK": "one"}, "WORLD_SIZE is 2 but RANK is 'one', expected a number below 2"),
        ({"LOCAL_RANK": "7"}, "WORLD_SIZE is 2 but LOCAL_RANK is '7', expected a number below 2"),
        ({"MASTER_PORT": "99999"}, "MASTER_PORT is '99999', expected a number below 65536"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT is 'http', expected a number below 65536"),
    ],
)
def test_half_of_it_is_one_line(
    change: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, **{**WHOLE, **change})
    with pytest.raises(ConfigError) as caught:
        Launch.from_environment()
    assert said + MEND in str(caught.value) and caught.value.exit_code == 2
    assert rank_label() == ""  # every process says so: nobody knows which is the first


@pytest.mark.parametrize("here", ["0", "x", "3"])
def test_an_odd_local_world_size_is_passed_over(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, WORLD_SIZE="2", LOCAL_WORLD_SIZE=here)
    assert launched_as() == "torchrun --nproc_per_node 2 -m softdiv"


def launch(rank: int, port: int) -> Launch:
    return Launch(rank=rank, world=2, local_rank=0, host="localhost", port=port)


def in_the_environment(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    given(monkeypatch, MASTER_ADDR="localhost", MASTER_PORT=str(port))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("rank", [0, 1])
def test_the_others_are_not_waited_for_forever(
    rank: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    in_the_environment(monkeypatch, port)
    begun = time.monotonic()
    with pytest.raises(TrainingError, match=rf"rank {rank} of 2 did not meet .*:{port} within 1 s"):
        met(launch(rank, port), 1.0)
    assert time.monotonic() - begun < 20
    assert "frame #" not in capfd.readouterr().err


def test_a_port_that_another_program_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        in_the_environment(monkeypatch, port)
        with pytest.raises(TrainingError, match=rf"cannot listen on MASTER_PORT {port}"):
            met(launch(0, port), 1.0)


@pytest.mark.parametrize("command", ["run --pair tiny", "doctor --plan configs/smoke.toml"])
def test_the_command_line_says_it_in_one_line(command: str) -> None:
    code = f"import sys; from softdiv.cli.main import main; main({command.split()!r})"
    value = "2" if command.startswith("run") else "two"
    done = subprocess.run(
        ["env", f"WORLD_SIZE={value}", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: WORLD_SIZE is ")
