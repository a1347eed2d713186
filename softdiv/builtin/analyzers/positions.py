"""Analyzer ``divergence_by_position``: where in the answers, and on which texts, models part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import attrs

from softdiv import Finding, Section
from softdiv.analysis.selection import by_prompt, of_best_prompt, shown
from softdiv.plugin.records import Curve, Table, TokenDivergence


@attrs.frozen(kw_only=True)
class DivergenceByPosition:
    """Mean divergence by response position, by prompt and by category of user text."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """A curve for each model's own answers under the best prompt, and without a prompt."""
        groups, best = by_prompt(findings), of_best_prompt(findings)
        series = {
            "model_1's answers": _by_position([f.tokens_1 for f in best]),
            "model_2's answers": _by_position([f.tokens_2 for f in best]),
        }
        if "" in groups and best and best[0].prompt:
            plain = _by_position([f.tokens_2 for f in groups[""]])
            series["model_2's answers, no prompt"] = plain
        length = max((len(values) for values in series.values()), default=0)
        own = series["model_2's answers"]
        peak = max(range(len(own)), key=own.__getitem__) if own else 0
        where = f"most at response token {peak + 1}" if any(own) else "nowhere"
        return Section(
            title="Divergence patterns",
            summary=f"Under the best prompt model_2's answers diverge {where}.",
            curves=(
                Curve(
                    title="Mean divergence by position in the answer",
                    x_label="response token",
                    y_label="bits",
                    x=[float(i + 1) for i in range(length)],
                    series={
                        name: [*values, *[float("nan")] * (length - len(values))]
                        for name, values in series.items()
                    },
                ),
            ),
            tables=_tables(groups, best),
        )


def _tables(groups: dict[str, list[Finding]], best: Sequence[Finding]) -> tuple[Table, ...]:
    categories: dict[str, list[Finding]] = defaultdict(list)
    for finding in best:
        categories[finding.example.category or "(none)"].append(finding)
    ordered = sorted(categories, key=lambda c: -_mean(categories[c]))
    head = ("texts", "mean bits", "largest bits", "log-likelihood ratio, nats")
    return (
        Table(
            title="By prompt",
            columns=("prompt", *head),
            rows=[(shown(prompt), *_row(group)) for prompt, group in groups.items()],
        ),
        Table(
            title="By kind of user text, under the best prompt",
            columns=("category", *head),
            rows=[(category, *_row(categories[category])) for category in ordered],
        ),
    )


def _row(group: Sequence[Finding]) -> tuple[int, float, float, float]:
    ratios = [f.log_likelihood_ratio for f in group]
    largest = max(f.divergence_bits for f in group)
    return len(group), _mean(group), largest, sum(ratios) / len(ratios)


def _mean(group: Sequence[Finding]) -> float:
    return sum(f.divergence_bits for f in group) / len(group)


def _by_position(answers: Sequence[Sequence[TokenDivergence]]) -> list[float]:
    """Means over the answers that reach a position, up to where half of them still do."""
    reached = sorted((len(tokens) for tokens in answers if tokens), reverse=True)
    longest = reached[(len(reached) - 1) // 2] if reached else 0
    means = []
    for position in range(longest):
        bits = [tokens[position].bits for tokens in answers if len(tokens) > position]
        means.append(sum(bits) / len(bits))
    return means
