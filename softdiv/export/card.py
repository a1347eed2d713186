"""The README.md of an export: where it came from, and how it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from softdiv.analysis.selection import shown
from softdiv.export.cases import Evaluated
from softdiv.plain_text import one_line
from softdiv.report.formatting import interval

SHOWN = 12
"""Prompts listed."""
LONGEST = 120
"""Characters shown of one."""


def card(run: Evaluated, about: str, header: Mapping[str, Any] | None = None) -> str:
    """Markdown.

    Args:
        about: what the files are and how they are used.
        header: what stands in front of it as YAML, for a hub.
    """
    lines = [f"---\n{to_yaml(header)}---\n"] if header else []
    lines += [
        f"# softdiv: {_code(run.pair)}\n",
        f"Written by `softdiv export` from a run of {run.files.manifest['created']}: two language "
        "models, model_1 (the original) and model_2 (the suspect), asked the same held-out texts "
        "under the same prompts.\n",
        f"Verdict: **{run.evaluation.verdict.outcome}**.\n",
        about + "\n",
        "| prompt | found by | D, bits | lift, nats per answer |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {_code(shown(result.text))} | {_code(result.searcher)} "
        f"| {interval(result.divergence_bits)} | {interval(result.llr_lift)} |"
        for result in run.results[:SHOWN]
    ]
    return "\n".join(lines) + "\n"


def to_yaml(value: Any) -> str:
    """YAML in the order of the keys."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text


def _code(text: str) -> str:
    """One line, in which Markdown and HTML read nothing."""
    return "`" + one_line(text, LONGEST).replace("`", "'").replace("|", "\\|") + "`"
