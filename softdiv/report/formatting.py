"""Numbers, and names of the files beside it, as every rendering of the report has them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from softdiv.analysis.selection import shown
from softdiv.evaluation.results import PromptResult
from softdiv.plugin.records import Interval, Section
from softdiv.storage.names import SECTIONS

MISSING = "–"
TRAINING = f"{SECTIONS}/training"
"""Start of the names of the training curve's files."""


def number(value: Any, digits: int = 3) -> str:
    """``digits`` significant digits; whole numbers in full, None as a dash, others as text."""
    if value is None:
        return MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}"
    return f"{value:.{digits - 1}e}"


def interval(value: Interval | None) -> str:
    """``0.12 [0.10, 0.15]``."""
    if value is None or math.isnan(value.value):
        return MISSING
    return f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"


def percent(value: float | None) -> str:
    """A share as whole percent."""
    return MISSING if value is None else f"{value:.0%}"


def metric_names(results: Sequence[PromptResult]) -> tuple[str, ...]:
    """Every metric that was measured, in the config's order."""
    return tuple(dict.fromkeys(name for result in results for name in result.metrics))


def has_detector(results: Sequence[PromptResult]) -> bool:
    """Whether a planted organism's detector was run."""
    return any(rate is not None for r in results for rate in (r.detector_rate_1, r.detector_rate_2))


def has_bits(results: Sequence[PromptResult]) -> bool:
    """Whether D is defined; it is not where the models share no tokens."""
    return not results or not all(math.isnan(r.divergence_bits.value) for r in results)


def columns(results: Sequence[PromptResult]) -> tuple[str, ...]:
    """Headings of :func:`row`."""
    measured: tuple[str, ...] = ("D, bits [95 %]", "lift, nats [95 %]", "p", "retention")
    if not has_bits(results):
        measured = ("ratio, nats [95 %]", "lift, nats [95 %]", "p")
    base = ("prompt", "from", *measured, "perplexity")
    detector = ("fires in model_1", "fires in model_2") if has_detector(results) else ()
    return (*base, *detector, "cost, FTE")


def row(result: PromptResult, results: Sequence[PromptResult]) -> tuple[str, ...]:
    """One prompt as a row of the prompts or baselines table; ``results`` decides the columns."""
    measured: tuple[str, ...] = (
        interval(result.divergence_bits),
        interval(result.llr_lift),
        number(result.p_value, 2),
        percent(result.retention),
    )
    if not has_bits(results):
        measured = (interval(result.llr), *measured[1:3])
    base = (shown(result.text), result.searcher, *measured, number(result.perplexity))
    detector = (
        (percent(result.detector_rate_1), percent(result.detector_rate_2))
        if has_detector(results)
        else ()
    )
    return (*base, *detector, number(result.cost_fte))


def what_did_not_work(
    prompts: Sequence[PromptResult], baselines: Sequence[PromptResult]
) -> tuple[str, ...]:
    """One sentence per prompt that did not beat every baseline and per baseline that was beaten.

    Judged on the point estimates of D and of the lift; the verdict, not this list, weighs the
    intervals.
    """
    lines = []
    if baselines:
        top_bits = max(b.divergence_bits.value for b in baselines)
        top_lift = max(b.llr_lift.value for b in baselines)
        for prompt in prompts:
            lost = []
            if prompt.divergence_bits.value <= top_bits:
                lost.append(f"D {number(prompt.divergence_bits.value)} ≤ {number(top_bits)} bits")
            if prompt.llr_lift.value <= top_lift:
                lost.append(f"lift {number(prompt.llr_lift.value)} ≤ {number(top_lift)} nats")
            if lost:
                lines.append(
                    f"“{prompt.text}” ({prompt.searcher}) did not beat the best baseline: "
                    + "; ".join(lost)
                )
    if prompts:
        best = prompts[0]
        for baseline in baselines:
            if (
                baseline.divergence_bits.value < best.divergence_bits.value
                and baseline.llr_lift.value < best.llr_lift.value
            ):
                lines.append(
                    f"baseline {baseline.searcher} “{shown(baseline.text)}” stayed below the best "
                    f"prompt: D {number(baseline.divergence_bits.value)} bits, "
                    f"lift {number(baseline.llr_lift.value)} nats"
                )
    return tuple(lines)


def section_file(number: int, section: Section) -> str:
    """Start of the names of a section's files: ``analysis/2-tokens``, a name any system takes."""
    slug = re.sub(r"[^a-z0-9]+", "-", section.title.lower())[:40].strip("-")
    return f"{SECTIONS}/{number}-{slug or 'section'}"
