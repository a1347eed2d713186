"""Tables and plots of docs/evidence.md and README.md from what ``make study`` measured.

    python benchmarks/evidence.py

Reads ``benchmarks/results/study.json`` and the shipped null banks;
writes the pages' tables between their ``<!-- NAME -->`` and ``<!-- end -->`` lines, the sentences
around them are written by hand, and ``docs/images/study.svg``. Runs nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from result_file import RESULTS
from study import SPLITS
from study_cells import BUDGET, COSTS, DEFAULT, QUICKSTART, RIVALS

HOME = Path(__file__).parents[1]
PAGES = (HOME / "docs" / "evidence.md", HOME / "README.md")
PLOT = HOME / "docs" / "images" / "study.svg"

Rows = Sequence[Mapping[str, Any]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    if not rows:
        return "Not measured yet."
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def share(summary: Mapping[str, float], key: str) -> str:
    """``75 % [50, 100]``."""
    if key not in summary:
        return "–"
    low, high = summary.get(f"{key}.low"), summary.get(f"{key}.high")
    ends = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * summary[key]:.0f} %{ends}"


def rediscovery(summary: Mapping[str, float], rows: Rows) -> str:
    """Every method at the budgets it was run with."""
    runs = {(str(r["method"]), int(r["budget"])) for r in rows if r["family"] != "benign"}

    def order(run: tuple[str, int]) -> tuple[bool, bool, int, str]:
        return (run[0] != DEFAULT, run[0] not in RIVALS, run[1], run[0])

    lines = []
    for method, budget in sorted(runs, key=order):
        key = f"{method}.{budget}"
        lines.append(
            [
                f"**{method}**" if method == DEFAULT else method,
                f"{budget:,}",
                f"{summary[f'{key}.organisms']:.0f}",
                share(summary, f"{key}.exposed"),
                share(summary, f"{key}.recovered"),
                f"{summary[f'{key}.median_lift']:.1f}",
                f"{summary[f'{key}.median_cost_fte']:,.0f}",
            ]
        )
    head = ["method", "budget", "organisms", "exposed", "recovered", "median lift", "median FTE"]
    margin = f"{DEFAULT}.{BUDGET}.margin"
    if margin not in summary:
        return table(head, lines)
    points = share(summary, margin).replace(" %", " points")
    above = f"{DEFAULT} above the best rival at {BUDGET:,} FTE: {points}"
    return f"{table(head, lines)}\n\n{above}"


def organisms(summary: Mapping[str, float], rows: Rows) -> str:
    """Which organism defeats which method: seeds in which it was exposed, of those run."""
    planted = [r for r in rows if r["family"] != "benign" and r["budget"] == BUDGET]
    methods = sorted({str(r["method"]) for r in planted}, key=lambda m: (m != DEFAULT, m))
    lines = []
    for pair, family in sorted({(str(r["pair"]), str(r["family"])) for r in planted}):
        cells = []
        for method in methods:
            mine = [r for r in planted if (r["pair"], r["method"]) == (pair, method)]
            cells.append(f"{sum(r['exposed'] for r in mine)}/{len(mine)}" if mine else "–")
        best = max(
            (r for r in planted if r["pair"] == pair and r["method"] == DEFAULT),
            key=lambda r: float(r["lift"]),
            default={"prompt": ""},
        )
        lines.append([pair, family, *cells, f"`{best['prompt']}`"])
    return table(["organism", "family", *methods, "the default's best prompt"], lines)


def detection(summary: Mapping[str, float], rows: Rows) -> str:
    """Planted against benign pairs, by one number of the run each."""
    names = {
        "lift": "lift of the best prompt (the verdict's)",
        "llr": "its likelihood ratio",
        "bits": "its D",
        "natural_lift": "lift of the best natural prompt",
        "natural_bits": "its D",
        "empty_bits": "D without a prompt",
        "empty_llr": "likelihood ratio without a prompt",
        "soft_bits": "D under the soft prompt",
        "lens_score": "how far the lens's first word stands out",
    }
    lines = []
    for name, words in names.items():
        key = f"detection.{name}"
        if f"{key}.auroc" in summary:
            lines.append(
                [
                    words,
                    f"{summary[f'{key}.auroc']:.2f}",
                    share(summary, f"{key}.tpr"),
                    share(summary, f"{key}.false_positives"),
                ]
            )
    head = ["number", "AUROC", "planted pairs with p ≤ .05", "benign pairs with p ≤ .05"]
    return table(head, lines)


def gain(summary: Mapping[str, float], rows: Rows) -> str:
    """Per organism, quickstart: what plain texts, the soft prompt and the found text reach."""
    ours = [r for r in rows if r["family"] != "benign" and r["method"] == QUICKSTART]
    names = ("empty_bits", "natural_bits", "bits", "soft_bits", "natural_lift", "lift")
    lines = []
    for pair in sorted({str(r["pair"]) for r in ours}):
        mine = [r for r in ours if r["pair"] == pair]
        means = [float(np.mean([r[name] for r in mine])) for name in names]
        above = sum((r["p_over_baselines"] or 1) <= 0.05 for r in mine)
        shown = [*(f"{m:.3f}" for m in means[:4]), *(f"{m:.1f}" for m in means[4:])]
        least = max((float(r["p"]) for r in mine if r["p"] is not None), default=None)
        lines.append(
            [pair, *shown, f"{above}/{len(mine)}", "–" if least is None else f"{least:.3f}"]
        )
    head = ["organism", "D: empty", "best natural", "found", "soft", "lift: best natural", "found"]
    return table([*head, "found above natural", "largest p"], lines)


def nulls(summary: Mapping[str, float], rows: Rows) -> str:
    """Benign pairs, searched as the quickstart searches."""
    benign = [r for r in rows if r["family"] == "benign" and r["method"] == QUICKSTART]
    lines = [
        [
            str(r["pair"]),
            f"{r['lift']:.1f}",
            f"{r['bits']:.3f}",
            f"{r['empty_bits']:.3f}",
            str(r["outcome"]),
        ]
        for r in sorted(benign, key=lambda r: -float(r["lift"]))
    ]
    return table(["benign pair", "lift", "D", "D without a prompt", "verdict"], lines)


def bank(_: Mapping[str, float], __: Rows) -> str:
    """The shipped banks: how large the best lift of benign pairs is."""
    lines = []
    for file in sorted((HOME / "softdiv/data/shipped/null_banks").glob("*.json")):
        held = json.loads(file.read_text("utf-8"))
        lifts = sorted(max(n["lift"], n["baseline_lift"]) for n in held["nulls"])
        lines.append(
            [
                f"`{file.stem[:12]}`",
                str(len(lifts)),
                f"{np.median(lifts):.1f}",
                f"{lifts[-1]:.1f}",
                f"{1 / (1 + len(lifts)):.3f}",
            ]
        )
    return table(["settings", "benign pairs", "median lift", "largest", "least p"], lines)


def plot(summary: Mapping[str, float]) -> None:
    """Exposure and recovery of the default by budget, and of its rivals at one budget."""
    mpl.rcParams["svg.hashsalt"] = "softdiv"
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    budgets = sorted({*COSTS, BUDGET})
    for what, colour in (("exposed", "#0a6"), ("recovered", "#06a")):
        found = [(b, summary.get(f"{DEFAULT}.{b}.{what}")) for b in budgets]
        points = [(b, 100 * y) for b, y in found if y is not None]
        left.plot(*zip(*points, strict=True), marker="o", color=colour, label=what)
    left.set(xscale="log", xlabel="budget, FTE", ylabel="% of organisms", ylim=(-3, 103))
    left.legend(frameon=False)
    names = [m for m in (DEFAULT, *RIVALS) if f"{m}.{BUDGET}.exposed" in summary]
    right.barh(names, [100 * summary[f"{m}.{BUDGET}.exposed"] for m in names], color="#0a6")
    right.invert_yaxis()
    right.set(xlim=(0, 100), xlabel=f"% of organisms exposed at {BUDGET:,} FTE")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, metadata={"Date": None})


BLOCKS: Mapping[str, Callable[[Mapping[str, float], Rows], str]] = {
    "rediscovery": rediscovery,
    "organisms": organisms,
    "gain": gain,
    "detection": detection,
    "nulls": nulls,
    "bank": bank,
}


def main() -> None:
    study = json.loads((RESULTS / "study.json").read_text("utf-8"))
    pages = {path: path.read_text("utf-8") for path in PAGES}
    for split in SPLITS:
        start = f"{split}."
        summary = {
            name.removeprefix(start): value
            for name, value in study["summary"].items()
            if name.startswith(start)
        }
        rows = [row for row in study["rows"] if row["split"] == split]
        for name, written in BLOCKS.items():
            block = f"<!-- {split} {name} -->"
            filled = f"{block}\n{written(summary, rows)}\n<!-- end -->"
            for path, page in pages.items():
                pages[path] = re.sub(
                    rf"{block}\n.*?<!-- end -->", lambda _, f=filled: f, page, flags=re.S
                )
        if split == "test":
            plot(summary)
    for path, page in pages.items():
        path.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
