"""Which findings an analyzer looks at."""

from __future__ import annotations

from collections.abc import Sequence

from softdiv.plugin.records import Finding


def of_best_prompt(findings: Sequence[Finding]) -> list[Finding]:
    """Those of the first prompt, one per user text; analyzers are given the best prompt first."""
    if not findings:
        return []
    best = findings[0].prompt
    return list({f.example.id: f for f in findings if f.prompt == best}.values())


def by_prompt(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Findings per prompt, best first; one per user text where a prompt was found twice."""
    groups: dict[str, dict[str, Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.prompt, {})[finding.example.id] = finding
    return {prompt: list(group.values()) for prompt, group in groups.items()}


def shown(prompt: str) -> str:
    """A prompt as a cell of a table."""
    return prompt or "(empty prompt)"
