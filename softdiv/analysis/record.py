"""What :meth:`DivergenceAnalyzer.generate_report` returns and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from softdiv.analysis.selection import shown
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
            lines += [f"## {_text(section.title)}", _text(section.summary)]
            lines += [f"{_text(t.title)}\n\n{_table(t)}" for t in section.tables]
        if self.unavailable:
            lines.append("## Not available")
            lines += [f"- {_text(n)}: {_text(why)}" for n, why in self.unavailable.items()]
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
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(_cell(cell) for cell in cells) + " |"

    rule = "|" + " --- |" * len(table.columns)
    return "\n".join([line(table.columns), rule, *(line(row) for row in table.rows)])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else _text(str(value))


def _text(text: str) -> str:
    """One line in which every sign of Markdown and HTML is only a sign."""
    line = "".join(c if c.isprintable() else " " for c in text)
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~$-" else c for c in line)
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
