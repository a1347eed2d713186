"""Report -> one self-contained HTML file: no script, nothing fetched, model text only as text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jinja2
from markupsafe import Markup

from softdiv.analysis.figures import FigureData, for_page, svg
from softdiv.analysis.selection import shown
from softdiv.evaluation.results import Evaluation
from softdiv.plain_text import clipped, one_line, visible
from softdiv.plugin.records import Finding, TokenDivergence
from softdiv.report.conversation import CUT, answers, turns
from softdiv.report.facts import page, placement
from softdiv.report.formatting import has_bits, interval, number, percent
from softdiv.report.model import Report

MOODS = {"no difference found": "calm", "broad drift only": "open", "inconclusive": "open"}
"""colour of the verdict's edge; a difference found has the strongest"""
ANSWERS_SHOWN = 6
TOKENS_SHOWN = 256
ROWS_SHOWN, ROWS_OPEN = 60, 12
LONGEST_TEXT, LONGEST_CELL, LONGEST_BRIEF = 4000, 400, 80
"""characters; with the limits above they keep any report far below 2 MB. report.json has it all."""


def to_html(report: Report) -> str:
    """The whole report as one HTML document."""
    named, place = report.evaluation.named, placement(report)
    template = environment().get_template("report.html.j2")
    return template.render(
        **page(report),
        baselines_named=_baselines_named(report.evaluation),
        mood=MOODS.get(report.evaluation.verdict.outcome, ""),
        answers=[_sides(found, place) for found in named.findings[:ANSWERS_SHOWN]] if named else [],
        glance=_glance(report),
        rows_shown=ROWS_SHOWN,
        rows_open=ROWS_OPEN,
    )


def _baselines_named(evaluation: Evaluation) -> str:
    """With what may be said of their cost: to rank a few may cost more than a small search."""
    searched = max((p.cost_fte for p in evaluation.prompts), default=0)
    dearer = any(b.cost_fte > searched for b in evaluation.baselines)
    return "Baselines" if dearer else "Baselines, at no more compute"


def environment(
    finalize: Callable[[Any], Any] | None = None, *, autoescape: bool = True
) -> jinja2.Environment:
    """Templates in which every text is escaped, clipped and its hidden characters marked.

    Args:
        finalize: what is made of all that a template prints, where that is no HTML.
    """
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("softdiv.report"),
        autoescape=autoescape,  # noqa: S701 (off for Markdown alone, which brings its own)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize or _finalize,
    )
    made.filters.update(
        number=number,
        interval=interval,
        shade=_shade,
        hint=_hint,
        cell=_cell,
        draw=_figure,
        brief=_brief,
        clip=clipped,
    )
    made.globals["shown"] = shown
    return made


def _finalize(value: Any) -> Any:
    """Every text the template prints is clipped, its hidden characters marked; markup passes."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(clipped(value, LONGEST_TEXT))
    return value


def _cell(value: Any) -> str:
    return clipped(number(value), LONGEST_CELL)


def _brief(text: str) -> str:
    return one_line(text, LONGEST_BRIEF)


def _figure(figure: FigureData) -> Markup:
    """The figure as an SVG element: matplotlib has escaped its labels."""
    document = svg(figure)
    return Markup(for_page(document) if document else "")  # noqa: S704


def _glance(report: Report) -> list[tuple[str, str]]:
    """The few numbers a reader looks for first."""
    evaluation = report.evaluation
    shown = [("user texts held out", number(evaluation.test_texts))]
    if not evaluation.prompts:
        return shown
    best = evaluation.prompts[0]
    empty = next((b for b in evaluation.baselines if not b.text), None)
    bits = [
        ("D under the best prompt found, bits", number(best.divergence_bits.value)),
        ("D without a prompt, bits", number(empty.divergence_bits.value if empty else None)),
    ]
    shown = [
        *(bits if has_bits([best]) else ()),
        ("its lift of the likelihood ratio, nats", number(best.llr_lift.value)),
        *shown,
    ]
    if best.detector_rate_2 is not None:
        rates = f"{percent(best.detector_rate_1)} → {percent(best.detector_rate_2)}"
        shown.insert(-1, ("planted behaviour, model_1 → model_2", rates))
    return shown


def _sides(finding: Finding, place: Any) -> dict[str, Any]:
    tokens, both = (finding.tokens_1, finding.tokens_2), answers(finding)
    sides = [
        (
            f"model_{n + 1}",
            tokens[n][:TOKENS_SHOWN],
            CUT if finding.cut[n] or len(tokens[n]) > TOKENS_SHOWN else "",
            both[n],
        )
        for n in (0, 1)
    ]
    return {"finding": finding, "turns": turns(finding, place), "sides": sides}


def _shade(token: TokenDivergence) -> str:
    """Opacity of a token's background: JSD lies in 0 to 1 bit, its root spreads the low end."""
    bits = token.bits if math.isfinite(token.bits) else 0.0
    return f"{0.85 * math.sqrt(min(max(bits, 0.0), 1.0)):.2f}"


def _hint(token: TokenDivergence) -> str:
    return (
        f"{number(token.bits)} bits; model_1 prefers {token.preferred_1[:40]!r}, "
        f"model_2 {token.preferred_2[:40]!r}"
    )
