from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from softdiv.cli import doctor
from softdiv.plugin.discovery import installed

from .conftest import Call


def test_it_says_what_is_here(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_tried", lambda name: "yes")  # each takes seconds
    assert call("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line[:20].strip(): line[21:] for line in lines}
    import torch

    assert shown["torch"] == torch.__version__
    assert shown["torch threads"] == str(torch.get_num_threads())
    assert shown["deepspeed usable"] == "yes"
    assert {"memory", "cache", "disk free", "cpus"} <= set(shown)
    for plugin in installed():
        assert any(plugin.name in line for line in lines if line.startswith("plugin"))


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (SimpleNamespace(returncode=0, stderr=""), "yes"),
        (SimpleNamespace(returncode=1, stderr="Traceback\nOSError: no CUDA_HOME"), "no: OSError"),
        (SimpleNamespace(returncode=-11, stderr=""), "no: exit code -11"),
        (subprocess.TimeoutExpired("python", 1), "no: importing it took over"),
    ],
)
def test_a_package_that_cannot_be_imported_is_said_to_be_so(
    outcome: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*args: Any, **kwargs: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(doctor.subprocess, "run", run)
    assert doctor._tried("deepspeed").startswith(said)


def test_it_really_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._tried("colorsys") == "yes"
    assert doctor._tried("no_such_package") == (
        "no: ModuleNotFoundError: No module named 'no_such_package'"
    )
