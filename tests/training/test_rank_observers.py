"""Every rank has its observers; what they ask for holds on all ranks, or rank 0 decides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from softdiv.storage.atomic import read_json


def train(folder: Path, ranks: int) -> list[dict[str, Any]]:
    driver = str(Path(__file__).with_name("ranks_driver.py"))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)]
    done = subprocess.run(
        [sys.executable, *launcher, driver, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [read_json(folder / f"{rank}.json") for rank in range(ranks)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return train(tmp_path_factory.mktemp("two"), 2)


def test_any_rank_ends_the_training_of_all(two: list[dict[str, Any]]) -> None:
    heard = [*(f"step {step}" for step in range(4)), "end: the last rank has seen enough"]
    for rank in two:
        assert rank["heard"] == heard
        assert (rank["reason"], rank["steps"]) == ("the last rank has seen enough", 4)


def test_rank_0s_factor_scales_the_gradient_of_all(
    two: list[dict[str, Any]], tmp_path: Path
) -> None:
    (alone,) = train(tmp_path, 1)
    for rank in two:
        for own, expected in zip(rank["prompt"], alone["prompt"], strict=True):
            assert own == pytest.approx(expected, abs=1e-5)
