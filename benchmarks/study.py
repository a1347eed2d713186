"""Who finds what was planted, at which cost, and what is found where nothing was planted.

    python benchmarks/study.py [--split development|test|fresh] [--seeds 0,1,2] [--parts rivals]

Every cell (method, pair, seed, budget) is one run under ``--output-dir``, and one row of
``benchmarks/results/study/SPLIT.jsonl`` when it is finished. What has a row is not run again, so
that the same command goes on where it was stopped, on another machine too; the figures are of all
rows. Delete rows to run their cells anew. *Exposed*: a
returned text makes the organism's detector fire in at least half of model_2's fresh answers on
held-out texts and in at most a tenth of model_1's. *Recovered*: the trigger stands in a returned
text. Intervals are over organisms (bootstrap), with all seeds of one in one cluster.
Writes ``benchmarks/results/study.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lens_score import lens_score
from result_file import RESULTS, write_result
from study_cells import BUDGET, COSTS, QUICKSTART, SETTINGS, Cell, cells
from study_figures import row, summary_of

from softdiv import stored
from softdiv.errors import SoftdivError
from softdiv.pipeline import DivergencePipeline
from softdiv.storage.locks import in_use
from softdiv.storage.run_files import RunFiles

SPLITS = ("development", "test", "fresh")


def run(cell: Cell, output: Path) -> dict[str, Any]:
    """Raises SoftdivError where the run fails."""
    done = DivergencePipeline(config=cell.config(), run_dir=output / cell.folder).run()
    searched = stored.prompts(RunFiles.of(done.run_dir))
    arms = {p.text: p.note.split(":")[0] for p in (*searched.prompts, *searched.baselines)}
    ledger = done.report.ledger
    cost = sum(fte for phase, fte in ledger.items() if phase in ("training", "search"))
    seconds = done.report.seconds.get("generate", 0.0)
    return row(cell, done.report.evaluation, arms, cost, seconds)


def read_rows(file: Path) -> dict[str, dict[str, Any]]:
    """By the cell's folder."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    return {row["cell"]: row for row in rows}


def append_row(file: Path, row: dict[str, Any]) -> None:
    """One line, so that several processes may write."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(row, ensure_ascii=False) + "\n")


def add_lens_score(file: Path, cell: Cell) -> None:
    """Of a row that has none: a look through all words, by itself as long as a search."""
    rows = read_rows(file)
    if cell.label == QUICKSTART and "lens_score" not in rows[cell.folder]:
        found = {**rows[cell.folder], "lens_score": lens_score(cell.config())}
        lines = [
            json.dumps(row, ensure_ascii=False) for row in {**rows, cell.folder: found}.values()
        ]
        file.write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--parts", default="rivals,costs,quickstart,nulls")
    parser.add_argument("--methods", help="of those, only these")
    parser.add_argument("--lens-scores", action="store_true", help="of rows that lack one; alone")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/study"))
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    wanted = cells(options.parts.split(","), options.split, seeds)
    if options.methods:
        wanted = (cell for cell in wanted if cell.name in options.methods.split(","))
    file = RESULTS / "study" / f"{options.split}.jsonl"
    for cell in wanted:
        if options.lens_scores and cell.folder in read_rows(file):
            add_lens_score(file, cell)
        if cell.folder in read_rows(file) or in_use(options.output_dir / cell.folder):
            continue  # the second: another process is at work on it
        try:
            found = run(cell, options.output_dir)
        except SoftdivError as error:
            print(f"{cell.folder}: {error}", flush=True)
            continue
        append_row(file, {"cell": cell.folder, **found})
        shown = ("exposed", "recovered", "rate_2", "lift", "cost_fte", "seconds", "prompt")
        print(f"{cell.folder}  " + "  ".join(f"{k} {found[k]}" for k in shown), flush=True)
    write_study()


def write_study() -> None:
    """All rows that there are, and the figures of each split."""
    rows: list[dict[str, Any]] = []
    summary: dict[str, float] = {}
    for split in SPLITS:
        found = read_rows(RESULTS / "study" / f"{split}.jsonl")
        mine = [{"split": split, **row} for _, row in sorted(found.items())]
        summary |= {f"{split}.{name}": value for name, value in summary_of(mine).items()}
        rows += mine
    settings = {"set": SETTINGS, "budget": BUDGET, "costs": COSTS}
    write_result("study", settings=settings, summary=summary, rows=rows)
    for name, value in summary.items():
        print(f"{name:<60} {value:.3f}")


if __name__ == "__main__":
    main()
