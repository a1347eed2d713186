from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).parent / "kill_driver.py"


@pytest.mark.parametrize(
    ("engine", "kills"),
    [
        ("torch", 15),
        pytest.param("torch", 100, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param("deepspeed-2", 100, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_nothing_is_lost_when_killed_at_any_moment(engine, kills, tmp_path):
    if engine != "torch":
        pytest.importorskip("deepspeed")
    command = [sys.executable, str(DRIVER), str(tmp_path), engine, str(kills), "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= kills and found["runs"] >= 1
    assert found["different"] == []
