from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
import torch

from softdiv.errors import LostRank
from softdiv.ranks.group import Ranks, together
from softdiv.ranks.launch import launched_as
from softdiv.storage.atomic import read_json, read_json_lines

CONFIG = """
num_threads = 1
[pair]
name = "tiny"
[training]
num_soft_prompt_tokens = 4
batch_size = 1
gradient_accumulation_steps = 2
max_steps = 60
patience = 100
validate_every = 20
validation_texts = 2
checkpoint_every = 2
response_tokens = 4
engine = { name = "deepspeed", zero_stage = 2 }
[generation]
budget_fte = 2000
baselines = ["empty"]
num_generations_per_prompt = 2
max_length = 8
[evaluation]
test_texts = 2
response_tokens = 4
bootstrap_resamples = 100
"""


def test_shares_cover_everything_once():
    items = list(range(7))
    for world in (1, 2, 3, 9):
        parts = [Ranks(rank, world).part(items) for rank in range(world)]
        assert [item for part in parts for item in part] == items
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_alone_there_is_nobody_to_ask():
    alone = Ranks()
    assert alone.gather({"a": 1}) == [{"a": 1}] and alone.share(None) is None and alone.first


def test_a_command_to_continue_has_the_launcher_it_was_started_with(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched_as() == "softdiv"
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert launched_as() == "torchrun --nproc_per_node 4 -m softdiv"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert launched_as() == "torchrun --nnodes 2 --nproc_per_node 2 -m softdiv"


def test_a_lost_rank_is_named_and_other_errors_pass(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    with pytest.raises(LostRank, match="rank 1 lost the connection"), together():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    with pytest.raises(RuntimeError, match="shapes"), together():
        raise RuntimeError("shapes do not match")


def run(folder: Path, ranks: int, *options: str) -> subprocess.Popen[str]:
    config = folder.with_suffix(".toml")
    config.write_text(CONFIG)
    softdiv = [sys.executable, "-m", "softdiv", "run", str(config), *options]
    command = [*softdiv, "--output-dir", str(folder)]
    if ranks > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)]
        command = [sys.executable, *launcher, *command[1:]]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def family(pid: int) -> list[int]:
    """Every descendant of a process."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            continue  # it has just ended
    found, before = {pid}, 0
    while len(found) > before:
        before = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return sorted(found - {pid})


def workers(launcher: int) -> list[int]:
    ours = []
    for pid in family(launcher):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"softdiv" in command and b"render_child" not in command:  # each rank's renderer
                ours.append(pid)
        except FileNotFoundError:
            continue
    return ours


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill_one_of_two(folder: Path, seed: int) -> None:
    random = Random(seed)
    launched = run(folder, 2)
    try:
        wanted, metrics = random.randrange(5, 40), folder / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < wanted:
            assert launched.poll() is None, launched.communicate()[1]
            time.sleep(0.01)
        everyone, both = family(launched.pid), workers(launched.pid)
        assert len(both) == 2
        os.kill(random.choice(both), signal.SIGKILL)
        launched.communicate(timeout=60)  # every rank is over within a minute
        assert launched.returncode != 0
        assert not [pid for pid in everyone if alive(pid)]
    finally:
        if launched.poll() is None:
            os.killpg(launched.pid, signal.SIGKILL)
            launched.communicate()
    assert read_json_lines(metrics)[-1]["step"] < 59


@pytest.mark.skipif(sys.platform != "linux", reason="DeepSpeed and /proc are Linux")
@pytest.mark.parametrize(
    ("ranks", "seed"),
    [
        (1, 0),
        *(pytest.param(ranks, seed, marks=pytest.mark.slow) for ranks in (1, 2) for seed in (1, 2)),
    ],
)
def test_one_of_two_ranks_is_killed_and_the_run_goes_on(ranks, seed, tmp_path):
    pytest.importorskip("deepspeed")
    folder = tmp_path / "run"
    kill_one_of_two(folder, seed)
    again = run(folder, ranks)
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert out.count("Report:") == 1 and err.count("run folder:") == 1  # rank 0 alone prints
    steps = [line["step"] for line in read_json_lines(folder / "metrics.jsonl")]
    assert steps == list(range(60))
    report = read_json(folder / "report.json")
    changed = [w for w in report["warnings"] if "instead of 2" in w]
    assert len(changed) == (ranks == 1)
