"""What ``--dry-run`` says beside what the run then takes: compute, seconds, memory.

    python benchmarks/dry_run.py [--gemma FILE.gguf]

The demo, the demo on two ranks, and, with Gemma 3 270M's file (organisms/README.md says how to get
it), the same settings on a pair of Gemma. An estimate holds where the truth lies between its ends
and neither end is further from it than twice. Memory is the largest process's, above that of the
dry run, which has read every library and no weights.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from result_file import write_result

CONFIG = "configs/quickstart.toml"
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(code)
"""
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
MOST = 2.0
"""Times that an end may be away from the truth."""


def softdiv(*arguments: str, ranks: int = 1, dry: bool = False) -> tuple[Any, float]:
    """What it prints as JSON, and the peak memory of its largest process in bytes."""
    launched = [*LAUNCHER, str(ranks)] if ranks > 1 and not dry else []
    command = [sys.executable, *launched, "-m", "softdiv", *arguments, "--json"]
    told = {"WORLD_SIZE": str(ranks)} if dry and ranks > 1 else {}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout), float(done.stderr.split()[-1])


def case(name: str, ranks: int, arguments: list[str], folder: Path) -> list[dict[str, Any]]:
    """A row for each of compute, seconds and memory."""
    plan, idle = softdiv("run", *arguments, "--dry-run", ranks=ranks, dry=True)
    report, peak = softdiv("run", *arguments, "--output-dir", str(folder), ranks=ranks)
    seconds = sum(value for stage, value in report["seconds"].items() if stage != "load")
    fte = [sum(stage[end] for stage in plan["fte"].values()) for end in (0, 1)]
    estimates = {
        "fte": (fte, report["ledger"]["total"]),
        "seconds": (plan["seconds"], seconds),
        "memory_bytes": (plan["memory"], peak - idle),
    }
    return [
        {
            "case": name,
            "what": what,
            "low": low,
            "high": high,
            "truth": truth,
            "holds": low <= truth <= high and high <= MOST * truth and truth <= MOST * low,
        }
        for what, ((low, high), truth) in estimates.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gemma", type=Path, help="Gemma 3 270M as one GGUF file")
    parser.add_argument("--config", default=CONFIG)
    options = parser.parse_args()
    cases: list[tuple[str, int, list[str]]] = [("demo", 1, []), ("demo on two ranks", 2, [])]
    if options.gemma:
        loader = f'{{ loader = "hf", path = "{options.gemma.resolve()}" }}'
        rounded = loader.replace(" }", ', quantize = "int4" }')
        pair = f'pair={{ name = "gemma", model_1 = {loader}, model_2 = {rounded} }}'
        cases.append(("Gemma 3 270M, int4", 1, ["--set", pair]))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, ranks, more) in enumerate(cases):
            rows += case(name, ranks, [options.config, *more], Path(scratch) / str(number))
            for row in rows[-3:]:
                print(json.dumps(row), flush=True)
    summary = {f"{row['case']}: {row['what']}": row["truth"] / row["high"] for row in rows}
    summary["estimates_that_hold"] = sum(row["holds"] for row in rows) / len(rows)
    settings = {"config": options.config, "most": MOST}
    print(write_result("dry_run", settings=settings, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
