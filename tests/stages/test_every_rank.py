"""A run on two ranks, with whole models or shards, is the run of one process: texts, numbers to
1e-5, and the ledger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import differences

from softdiv.storage.atomic import read_json

RECORDED = Path(__file__).with_name("figures.json")
SHARDS = ('training.engine.name="deepspeed"', "training.engine.shard_models=true")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["whole", pytest.param("shards", marks=pytest.mark.slow)])
def test_two_ranks_find_what_one_process_finds(how: str, tmp_path: Path) -> None:
    if how == "shards":
        pytest.importorskip("deepspeed")
    driver, folder = Path(__file__).with_name("tiny_run.py"), tmp_path / "run"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    options = SHARDS if how == "shards" else ()
    done = subprocess.run(
        [*launcher, "--nproc_per_node", "2", str(driver), str(folder), *options],
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = read_json(folder.with_suffix(".json"))
    assert not list(differences(found, read_json(RECORDED)))
