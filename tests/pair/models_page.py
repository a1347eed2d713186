"""Writes ``docs/models.md``: every causal architecture, tried. ``make models``, some minutes."""

from __future__ import annotations

import gc
import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers

from tests.pair.agreement import Outcome, compare, perturbed
from tests.pair.tiny_architectures import NAMES, NOT_BUILT, VARIANTS, tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN = "<!-- the rest is written by `make models` -->"
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*) \| (.*) \|$", re.MULTILINE)


def rows_of(page: str) -> dict[str, tuple[str, str]]:
    """Outcome and remark by name."""
    return {name: (kind, remark) for name, kind, _, remark in ROW.findall(page)}


def version_of(page: str) -> str:
    """The transformers version it was written with."""
    found = re.search(r"transformers (\d[\w.]*)", page)
    assert found is not None
    return found[1]


def outcome_of(name: str) -> Outcome:
    """One architecture tried, with warnings of its making left out."""
    if name in NOT_BUILT:
        return Outcome("not built", remark=NOT_BUILT[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tiny_model(name)
        found = compare(model, perturbed(model))
    gc.collect()
    return found


def table(outcomes: Mapping[str, Outcome]) -> str:
    """What stands below :data:`BEGIN`."""
    counts = Counter(outcome.kind for outcome in outcomes.values())
    shown = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    lines = [
        BEGIN,
        "",
        f"With transformers {transformers.__version__}: {len(outcomes)} architectures, {shown}.",
        "",
        "| architecture | outcome | nats | remark |",
        "|---|---|---|---|",
    ]
    for name, outcome in sorted(outcomes.items()):
        far = f"{outcome.largest:.0e}" if outcome.kind == "right" else ""
        lines.append(f"| `{name}` | {outcome.kind} | {far} | {outcome.remark.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try them all; the words above the table stay as they are."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    outcomes = {}
    for name in (*NAMES, *VARIANTS):
        outcomes[name] = outcome_of(name)
        print(f"{name:28}{outcomes[name].kind:12}{outcomes[name].remark}", file=sys.stderr)
    words, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(words + table(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
