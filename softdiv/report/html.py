"""Report -> one self-contained HTML file: no script, nothing fetched, model text only as text."""

from __future__ import annotations

import math
from typing import Any

import jinja2

from softdiv.plugin.records import Finding, TokenDivergence
from softdiv.report.figure import HEIGHT, WIDTH, draw
from softdiv.report.formatting import (
    columns,
    interval,
    number,
    prompt_name,
    row,
    what_did_not_work,
)
from softdiv.report.model import Report
from softdiv.report.plain_text import visible

ANSWERS_SHOWN = 6


def to_html(report: Report) -> str:
    """The whole report as one HTML document."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("softdiv.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(number=number, interval=interval, shade=_shade, hint=_hint)
    evaluation = report.evaluation
    everything = (*evaluation.prompts, *evaluation.baselines)
    best = evaluation.prompts[0] if evaluation.prompts else None
    return environment.get_template("report.html.j2").render(
        report=report,
        evaluation=evaluation,
        verdict=evaluation.verdict,
        pair_name=str(report.pair.get("name", "pair")),
        columns=columns(everything),
        prompt_rows=[row(result, everything) for result in evaluation.prompts],
        baseline_rows=[row(result, everything) for result in evaluation.baselines],
        metric_names=list(dict.fromkeys(name for r in everything for name in r.metrics)),
        everything=everything,
        best=best,
        answers=[_sides(finding) for finding in best.findings[:ANSWERS_SHOWN]] if best else [],
        prompt_name=prompt_name,
        draw=draw,
        figure_size=(WIDTH, HEIGHT),
        lost=(*what_did_not_work(evaluation.prompts, evaluation.baselines), *evaluation.failures),
    )


def _finalize(value: Any) -> Any:
    """Every text the template prints has its hidden characters marked; markup passes as it is."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(value)
    return value


def _sides(finding: Finding) -> dict[str, Any]:
    return {
        "finding": finding,
        "sides": (
            ("model_1", finding.tokens_1, finding.response_1),
            ("model_2", finding.tokens_2, finding.response_2),
        ),
    }


def _shade(token: TokenDivergence) -> str:
    """Opacity of a token's background: JSD lies in 0 to 1 bit, its root spreads the low end."""
    bits = token.bits if math.isfinite(token.bits) else 0.0
    return f"{0.85 * math.sqrt(min(max(bits, 0.0), 1.0)):.2f}"


def _hint(token: TokenDivergence) -> str:
    return (
        f"{number(token.bits)} bits; model_1 prefers {token.preferred_1!r}, "
        f"model_2 {token.preferred_2!r}"
    )
