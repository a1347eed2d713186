"""Committed figures have one form; what needs a GPU says so where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


def test_there_are_results() -> None:
    assert len(RESULTS) >= 6


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_has_the_one_form_and_a_command_that_makes_it(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert list(found) == ["machine", "settings", "summary", "rows"]
    assert found["machine"]["python"] and found["rows"]
    assert all(isinstance(value, (int, float)) for value in found["summary"].values())
    assert f'write_result("{path.stem}"' in (BENCHMARKS / f"{path.stem}.py").read_text("utf-8")


def test_without_a_gpu_the_gpu_benchmark_says_so_and_ends() -> None:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(BENCHMARKS / "gpu.py")]
    done = subprocess.run(command, env=hidden, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no GPU here")
