"""A report as a cell of a notebook, and its answers as a data frame."""

from __future__ import annotations

import importlib
from typing import Any, Literal

from softdiv.errors import SoftdivError
from softdiv.evaluation.results import Evaluation
from softdiv.report.contract import plain
from softdiv.report.facts import facts
from softdiv.report.formatting import columns, row
from softdiv.report.html import environment
from softdiv.report.model import Report
from softdiv.stored import answer_record

LONGEST_TEXT = 400
"""Characters of anything shown."""


def to_notebook(report: Report) -> str:
    """The verdict, what was compared, and the prompts: HTML without script, model text as text."""
    evaluation = report.evaluation
    results = (*evaluation.prompts, *evaluation.baselines)
    return (
        environment()
        .get_template("notebook.html.j2")
        .render(
            verdict=evaluation.verdict,
            facts=facts(report),
            columns=columns(results),
            rows=[row(result, results) for result in results],
            longest=LONGEST_TEXT,
        )
    )


def frame(library: Literal["pandas", "polars"], evaluation: Evaluation) -> Any:
    """One row per held-out text under every prompt and baseline, the best prompt's first.

    Columns: ``prompt``, ``searcher``, ``baseline``, those of ``generations.jsonl``, and
    ``metric_NAME`` for each metric.

    Raises:
        SoftdivError: the library is not installed.
    """
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise SoftdivError(
            f"to_{library}() needs {library}", fix=f"pip install {library}"
        ) from error
    rows = plain(
        [
            {
                "prompt": result.text,
                "searcher": result.searcher,
                "baseline": result.is_baseline,
                **answer_record(finding),
                **{f"metric_{name}": value for name, value in finding.metrics.items()},
            }
            for result in (*evaluation.prompts, *evaluation.baselines)
            for finding in result.findings
        ]
    )
    every = {} if library == "pandas" else {"infer_schema_length": None}  # all rows say the types
    return module.DataFrame(rows, **every)
