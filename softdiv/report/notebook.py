"""A report as a cell of a notebook, and its answers as a data frame."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from markupsafe import Markup, escape

from softdiv.errors import SoftdivError
from softdiv.evaluation.results import Evaluation
from softdiv.plain_text import clipped, visible
from softdiv.report.contract import plain
from softdiv.report.facts import facts
from softdiv.report.formatting import columns, row
from softdiv.report.model import Report
from softdiv.stored import answer_record

LONGEST_TEXT = 400
"""Characters of anything shown."""


def to_notebook(report: Report) -> str:
    """The verdict, what was compared, and the prompts: HTML without script, model text as text."""
    evaluation, verdict = report.evaluation, report.evaluation.verdict
    results = (*evaluation.prompts, *evaluation.baselines)
    lines = [
        _element("p", [_element("strong", [verdict.outcome.capitalize()])]),
        *(_element("p", [text]) for text in (verdict.headline, verdict.example) if text),
        _table(("", ""), facts(report)),
        _table(columns(results), [row(result, results) for result in results]),
    ]
    return _element("div", lines)


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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    top = [_element("th", [name]) for name in head] if any(head) else []
    body = [_element("tr", [_element("td", [cell]) for cell in cells]) for cells in rows]
    return _element("table", [_element("tr", top), *body])


def _element(name: str, inside: Iterable[str]) -> Markup:
    texts = (part if isinstance(part, Markup) else _text(part) for part in inside)
    # names are those above, texts are escaped
    return Markup(f"<{name}>{Markup().join(texts)}</{name}>")  # noqa: S704


def _text(text: str) -> Markup:
    return escape(visible(clipped(text, LONGEST_TEXT)))
