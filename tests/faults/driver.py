"""Faults on request: a JSON object on each line of standard input, its counts on standard output.

    python driver.py FOLDER

A program of its own, because it forks: see ``warm.py``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import calls
import flips
import kills
import starts
import torch
from warm import warm_up


def main(root: Path) -> None:
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    seconds = warm_up(root)
    for number, line in enumerate(sys.stdin):
        request: dict[str, Any] = json.loads(line)
        folder = root / str(number)
        folder.mkdir()
        (folder / "config.toml").write_bytes((root / "config.toml").read_bytes())
        (folder / "true").symlink_to(root / "true")
        print(json.dumps(_done(folder, seconds, **request)), file=answers, flush=True)


def _done(root: Path, seconds: float, *, what: str, count: int, seed: int) -> dict[str, Any]:
    if what in ("failing calls", "kills at calls"):
        return calls.fail(root, count, seed, part=seed, kill=what == "kills at calls").summary()
    if what == "flips":
        return flips.flip(root, count, seed).summary()
    if what == "kills":
        trials, killed = kills.kill(root, count, seed, seconds)
        return {**trials.summary(), "kills": killed}
    return starts.race(root, count, named=what == "named starts").summary()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
