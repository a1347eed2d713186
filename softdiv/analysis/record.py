"""What :meth:`DivergenceAnalyzer.generate_report` returns and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from softdiv.analysis.selection import shown
from softdiv.plain_text import markdown, markdown_table
from softdiv.plugin.records import Finding, Section, Table
from softdiv.storage.plain import to_plain


@attrs.frozen(kw_only=True)
class AnalysisReport:
    """Sections, and what was measured of each prompt."""

    prompts: Mapping[str, Mapping[str, float]]
    """prompt -> name -> mean over its user texts: ``divergence_bits``, ``log_likelihood_ratio``
    and every metric"""
    sections: tuple[Section, ...]
    unavailable: Mapping[str, str]
    """metric -> why it could not be computed"""

    def to_dict(self) -> dict[str, Any]:
        """JSON values only."""
        found: dict[str, Any] = to_plain(self)
        return found

    def to_markdown(self) -> str:
        """One document; model text cannot become markup."""
        names = list(dict.fromkeys(name for values in self.prompts.values() for name in values))
        rows = [
            (shown(prompt), *(values.get(name) for name in names))
            for prompt, values in self.prompts.items()
        ]
        lines = ["# Analysis", "## Prompts", _table(Table(columns=("prompt", *names), rows=rows))]
        for section in self.sections:
            lines += [f"## {markdown(section.title)}", markdown(section.summary)]
            lines += [f"{markdown(t.title)}\n\n{_table(t)}" for t in section.tables]
        if self.unavailable:
            lines.append("## Not available")
            lines += [f"- {markdown(n)}: {markdown(why)}" for n, why in self.unavailable.items()]
        return "\n\n".join(line.strip() for line in lines) + "\n"


def mean_by_prompt(
    findings: Sequence[Finding], measured: Sequence[Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Means over the findings of each prompt; ``measured`` holds each finding's metrics."""
    groups: dict[str, list[Mapping[str, float]]] = {}
    for finding, values in zip(findings, measured, strict=True):
        whole = {
            "divergence_bits": finding.divergence_bits,
            "log_likelihood_ratio": finding.log_likelihood_ratio,
            **values,
        }
        groups.setdefault(finding.prompt, []).append(whole)
    return {
        prompt: {
            name: sum(values[name] for values in group) / len(group)
            for name in group[0]
            if all(name in values for values in group)
        }
        for prompt, group in groups.items()
    }


def _table(table: Table) -> str:
    return markdown_table(table.columns, ([_cell(cell) for cell in row] for row in table.rows))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
