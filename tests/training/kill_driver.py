"""Trains in forked processes, kills them at random moments, lets them go on, compares the end.

    python kill_driver.py FOLDER ENGINE KILLS SEED

A program of its own: it forks before torch has started any thread, which pytest cannot promise.
Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from conftest import short_split
from tiny_training import config, open_for, tiny_pair

from softdiv.builtin.losses import JsdLoss
from softdiv.storage.atomic import read_tensors
from softdiv.storage.names import BEST
from softdiv.training.trainer import DivergenceTrainer


def start(folder: Path, cfg, pair, split) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with open_for(cfg, folder) as run:
            DivergenceTrainer(pair, cfg, JsdLoss(), split, run).train()
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(pid: int, seconds: float | None) -> bool:
    """Whether it ended on its own within ``seconds``; it is not waited for longer."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, f"a training ended with status {status}"
            return True
        time.sleep(0.002)
    return False


def state(folder: Path) -> dict[str, object]:
    newest = max((folder / "checkpoints").glob("step-*"))
    files = [folder / "metrics.jsonl", *sorted(newest.iterdir())]
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    # safetensors writes metadata in an order of its own, so not the bytes
    best, header = read_tensors(folder / BEST)
    return {**found, BEST: ({k: v.numpy().tobytes() for k, v in best.items()}, header)}


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    root, engine, wanted, rng = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), random.Random()
    rng.seed(int(sys.argv[4]))
    if engine != "torch":
        import deepspeed  # noqa: F401  (once, before the forks)
    cfg = config(
        engine,
        max_steps=20,
        batch_size=1,
        gradient_accumulation_steps=2,
        checkpoint_every=2,
        validate_every=5,
        validation_texts=2,
        response_tokens=4,
    )
    pair, split = tiny_pair(), short_split()
    begun = time.monotonic()
    ended(start(root / "whole", cfg, pair, split), None)
    whole, expected = time.monotonic() - begun, state(root / "whole")
    kills, runs, different = 0, 0, []
    while kills < wanted:
        folder, finished = root / f"cut-{runs}", False
        while not finished:
            pid = start(folder, cfg, pair, split)
            finished = ended(pid, rng.uniform(0, 0.6 * whole) if kills < wanted else None)
            if not finished:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills += 1
        runs += 1
        found = state(folder)
        different += [f"{folder.name}: {k}" for k in expected if found.get(k) != expected[k]]
    print(json.dumps({"kills": kills, "runs": runs, "different": different}))


if __name__ == "__main__":
    main()
