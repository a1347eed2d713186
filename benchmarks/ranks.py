"""Search and evaluation on one rank and on two, each of one thread: the same run, and how fast.

    python benchmarks/ranks.py [--config configs/quickstart.toml] [--repeats 3]

Trains once, in one process. Then `softdiv generate` and `softdiv evaluate` go on from a copy of
that run, on one rank and on two in turn. Fails if the prompts, the answers or the ledger differ,
as they may in 16 bits: another batch rounds otherwise. Words that a lens has looked through once
are kept in softdiv's cache, so that the first run is slower than the median.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from result_file import write_result

from softdiv.storage.atomic import read_json, read_json_lines

STAGES = ("generate", "evaluate")
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
NUMBERS = ("score_bits", "validation_bits", "validation_llr")
TOLERANCE = 1e-5


def softdiv(ranks: int, *arguments: str) -> None:
    launcher = [] if ranks == 1 else [*LAUNCHER, str(ranks)]
    command = [sys.executable, *launcher, "-m", "softdiv", *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def measured(trained: Path, ranks: int, folder: Path) -> dict[str, Any]:
    """Seconds of each stage, and what was found."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trained, folder)
    for stage in STAGES:
        softdiv(ranks, stage, str(folder))
    stages = read_json(folder / "manifest.json")["stages"]
    return {
        "seconds": {stage: stages[stage]["seconds"] for stage in STAGES},
        "ledger": stages["evaluate"]["ledger"],
        "prompts": read_json_lines(folder / "hard_prompts.jsonl"),
        "answers": read_json_lines(folder / "generations.jsonl"),
    }


def same(one: Any, other: Any) -> bool:
    """Texts and whole numbers are equal, others to 1e-5."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * max(1.0, abs(one))
    return bool(one == other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/quickstart.toml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        trained = Path(scratch) / "trained"
        sets = [word for one in ("num_threads=1", *arguments.set) for word in ("--set", one)]
        softdiv(1, "train", arguments.config, *sets, "--output-dir", str(trained))
        first: dict[str, Any] = {}
        for repeat in range(arguments.repeats):
            for ranks in (1, 2):
                found = measured(trained, ranks, Path(scratch) / "run")
                seconds = found.pop("seconds")
                first = first or found
                row = {"repeat": repeat, "ranks": ranks, **seconds, "same": same(first, found)}
                rows.append(row)
                print(json.dumps(row), flush=True)
    summary = {"all_the_same": float(all(row["same"] for row in rows))}
    for name, stages in (*((s, (s,)) for s in STAGES), ("both", STAGES)):
        medians = [
            statistics.median(sum(r[s] for s in stages) for r in rows if r["ranks"] == ranks)
            for ranks in (1, 2)
        ]
        summary |= {f"{name}_seconds_{n}_rank": m for n, m in enumerate(medians, 1)}
        summary[f"{name}_speedup"] = medians[0] / medians[1]
    settings = {"config": arguments.config, "set": arguments.set, "repeats": arguments.repeats}
    print(json.dumps(summary, indent=1))
    print(write_result("ranks", settings=settings, summary=summary, rows=rows))
    sys.exit(not summary["all_the_same"])


if __name__ == "__main__":
    main()
