"""Limits on an evaluation's values: did the new checkpoint change behaviour?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import attrs

from softdiv.errors import ConfigError, PluginError, did_you_mean
from softdiv.evaluation.results import Evaluation, PromptResult

Side = Literal["under", "over"]
Across = Literal["max", "mean", "min"]
"""How the values of several prompts become the one that is compared."""
Of = Literal["prompts", "baselines", "all"]
"""Whose values."""

ALWAYS = ("jsd", "llr", "llr_lift")
"""Measured for every prompt, whichever metrics the config names. ``jsd`` is D, in bits."""


@attrs.frozen(kw_only=True)
class Gate:
    """Fails when the metric is ``under`` (or ``over``) the limit."""

    metric: str
    side: Side
    limit: float

    def check(
        self, evaluation: Evaluation, across: Across = "max", of: Of = "prompts"
    ) -> GateResult:
        """Compare a value of several prompts with the limit.

        A value that is not a number fails.

        Raises:
            PluginError: the metric failed, so that there is nothing to compare.
        """
        values = tuple((p.text, _value(p, self.metric)) for p in _chosen(evaluation, of))
        value = _combined([found for _, found in values], across)
        inside = value >= self.limit if self.side == "under" else value <= self.limit
        return GateResult(gate=self, across=across, value=value, passed=inside, values=values)


@attrs.frozen(kw_only=True)
class GateResult:
    """A gate, what it saw, and whether that was inside the limit."""

    gate: Gate
    across: Across
    value: float
    passed: bool
    values: tuple[tuple[str, float], ...] = ()
    """(prompt, its value)"""

    def __str__(self) -> str:
        gate = self.gate
        sign = "<" if gate.side == "under" else ">"
        if self.passed:
            sign = ">=" if gate.side == "under" else "<="
        verdict = "passed" if self.passed else "FAILED"
        return f"{verdict}: {gate.metric} = {self.value:.4g} {sign} {gate.limit:g} ({self.across})"


def parse_gates(under: Iterable[str], over: Iterable[str], metrics: Iterable[str]) -> list[Gate]:
    """Gates from ``metric=limit`` texts.

    Raises:
        ConfigError: every problem: no number, or a metric that is not measured.
    """
    known = {*ALWAYS, *metrics}
    gates, problems = [], []
    sides: tuple[tuple[Side, Iterable[str]], ...] = (("under", under), ("over", over))
    for side, texts in sides:
        for text in texts:
            metric, _, raw = (part.strip() for part in text.partition("="))
            try:
                limit = float(raw)
            except ValueError:
                limit = math.nan
            if not math.isfinite(limit):
                problems.append(f"--fail-{side} {text}: expected METRIC=NUMBER, e.g. jsd=0.2")
            elif metric not in known:
                hint = did_you_mean(metric, known)
                problems.append(f"--fail-{side} {text}: no metric '{metric}' is measured ({hint})")
            else:
                gates.append(Gate(metric=metric, side=side, limit=limit))
    if problems:
        raise ConfigError(problems)
    return gates


def _chosen(evaluation: Evaluation, of: Of) -> tuple[PromptResult, ...]:
    if of == "all":
        return (*evaluation.prompts, *evaluation.baselines)
    return evaluation.prompts if of == "prompts" else evaluation.baselines


def _value(result: PromptResult, metric: str) -> float:
    found = result.metrics.get(metric)
    if isinstance(found, str):
        raise PluginError(f"metric '{metric}' cannot be checked", why=found)
    if found is not None:
        return found
    measured = {
        "jsd": result.divergence_bits,
        "llr": result.llr,
        "llr_lift": result.llr_lift,
    }
    if metric not in measured:
        raise PluginError(f"metric '{metric}' cannot be checked", why="it gave no value")
    return measured[metric].value


def _combined(values: Sequence[float], across: Across) -> float:
    if not values or any(math.isnan(value) for value in values):
        return math.nan
    if across == "mean":
        return sum(values) / len(values)
    return max(values) if across == "max" else min(values)
