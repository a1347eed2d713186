"""Report -> Markdown; model text cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from softdiv.analysis.figures import drawable, figures_of
from softdiv.analysis.selection import shown
from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.plain_text import clipped, markdown, markdown_table, visible
from softdiv.plugin.records import Section, Table
from softdiv.report.conversation import Turn, answers, turns
from softdiv.report.facts import facts, placement
from softdiv.report.formatting import (
    TRAINING,
    columns,
    interval,
    metric_names,
    number,
    row,
    section_file,
    what_did_not_work,
)
from softdiv.report.model import Report

ANSWERS_SHOWN = 3
LONGEST_TEXT, LONGEST_BEFORE = 4000, 400


def to_markdown(report: Report) -> str:
    """The whole report as one Markdown document."""
    evaluation, verdict = report.evaluation, report.evaluation.verdict
    everything = (*evaluation.prompts, *evaluation.baselines)
    lines = [
        f"# {_text(verdict.outcome)}: {_text(str(report.pair.get('name', 'pair')))}",
        f"**{_text(verdict.headline)}**",
        *([_text(verdict.example)] if verdict.example else []),
        *_list([f"{name}: {value}" for name, value in facts(report)]),
        f"*Do the models differ at all?* {_text(verdict.differ_at_all)}",
        f"*Does some text expose a concentrated difference?* {_text(verdict.concentrated)}",
        f"Rule: {_text(verdict.rule)}",
        *_list(verdict.caveats),
        f"## Prompts, on {evaluation.test_texts} held-out user texts",
        _prompts(evaluation.prompts, everything) or "No text prompt was found.",
        "## Baselines",
        _prompts(evaluation.baselines, everything) or "No baseline was run.",
        *_metrics(everything),
        "Trained soft prompt (an upper bound, not evidence): "
        f"D {interval(evaluation.soft_bits)} bits.",
        *_answers(evaluation, placement(report)),
    ]
    for n, section in enumerate(report.sections, 1):
        lines += _section(section, section_file(n, section))
    if report.training_curve and drawable(report.training_curve):
        lines += [f"[{_text(report.training_curve.title)}]({TRAINING}-1.svg)"]
    lost = (*what_did_not_work(evaluation.prompts, evaluation.baselines), *evaluation.failures)
    lines += ["## What did not work", *(_list(lost) or ["Nothing to report."])]
    lines += [
        "## Cost",
        _table(("phase", "FTE"), [(k, number(v)) for k, v in report.ledger.items()]),
        _table(("stage", "seconds"), [(k, number(v)) for k, v in report.seconds.items()]),
    ]
    if report.warnings:
        lines += ["## Notes", *_list(report.warnings)]
    checks = report.pair.get("self_check", {})
    if checks:
        lines += ["## Self-check", *_list([f"{name}: {line}" for name, line in checks.items()])]
    lines += ["## Repeat this run", _fence(report.reproduce)]
    return "\n\n".join(lines) + "\n"


def _prompts(results: Sequence[PromptResult], everything: Sequence[PromptResult]) -> str:
    if not results:
        return ""
    return _table(columns(everything), [row(result, everything) for result in results])


def _metrics(results: Sequence[PromptResult]) -> list[str]:
    names = metric_names(results)
    if not names:
        return []
    rows = [(shown(r.text), *(number(r.metrics.get(name)) for name in names)) for r in results]
    return ["## All metrics", _table(("prompt", *names), rows)]


def _answers(evaluation: Evaluation, place: Any) -> list[str]:
    named = evaluation.named
    if named is None:
        return []
    under = f"under “{_text(named.text)}”" if named.text else "without a prompt"
    lines = [f"## What each model answers {under}"]
    if evaluation.conversation:
        lines += ["The first conversation as both models get it:", _fence(evaluation.conversation)]
    for finding in named.findings[:ANSWERS_SHOWN]:
        *earlier, last = turns(finding, place)
        lines += [_turn(turn, LONGEST_BEFORE) for turn in earlier]
        lines += [
            f"{_turn(last, LONGEST_TEXT)} (D {number(finding.divergence_bits)} bits, "
            f"log-likelihood ratio {number(finding.log_likelihood_ratio)} nats)"
        ]
        for n, answer in enumerate(answers(finding), 1):
            lines += [f"model_{n}:", _fence(answer)]
    return lines


def _turn(turn: Turn, longest: int) -> str:
    """One message, the prompt in bold."""
    parts = [_text(clipped(part, longest)) for part in (turn.before, turn.prompt, turn.after)]
    parts[1] = f"**{parts[1]}**" if parts[1] else ""
    return " ".join([f"{_text(turn.role.capitalize())}:", *filter(None, parts)])


def _section(section: Section, file: str) -> list[str]:
    lines = [f"## {_text(section.title)}", _text(section.summary)]
    for n, table in enumerate(section.tables, 1):
        lines += [_data_table(table), f"[CSV]({file}-{n}.csv)"]
    for curve in section.curves:
        rows = [
            (f"{x:g}", *(number(values[i]) for values in curve.series.values()))
            for i, x in enumerate(curve.x)
        ]
        lines += [
            f"{_text(curve.title)} ({_text(curve.y_label)})",
            _table((curve.x_label, *curve.series), rows),
        ]
    return [
        *lines,
        *(
            f"[{_text(figure.title)}]({file}-{n}.svg)"
            for n, figure in enumerate(figures_of(section), 1)
            if drawable(figure)
        ),
    ]


def _data_table(table: Table) -> str:
    made = _table(table.columns, [[number(cell) for cell in cells] for cells in table.rows])
    return f"{_text(table.title)}\n\n{made}" if table.title else made


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cells(row: Sequence[str]) -> list[str]:
        return [clipped(cell, LONGEST_TEXT) for cell in row]

    return markdown_table(cells(head), map(cells, rows))


def _list(items: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {_text(item)}" for item in items)] if items else []


def _text(text: str) -> str:
    return markdown(clipped(text, LONGEST_TEXT))


def _fence(text: str) -> str:
    """A code block no text can close: its fence is longer than any run of backticks inside."""
    shown = visible(clipped(text, LONGEST_TEXT))
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"
