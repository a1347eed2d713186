"""The end of a run on the terminal: verdict, prompts, answers, cost, where the report is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from softdiv.analysis.selection import shown
from softdiv.cli.terminal import show
from softdiv.plain_text import one_line
from softdiv.report.formatting import has_bits, interval, number, percent
from softdiv.storage.names import REPORT_HTML

if TYPE_CHECKING:
    from rich.console import Console

    from softdiv.evaluation.results import Evaluation, PromptResult
    from softdiv.report.model import Report

PROMPTS_SHOWN = 3
ANSWER_LENGTH = 400

STYLES = {
    "difference found": "bold red",
    "broad drift only": "bold yellow",
    "no difference found": "bold green",
    "inconclusive": "bold",
}


def print_verdict(console: Console, report: Report, run_dir: Path) -> None:
    """Plain text where the console is no terminal. Model text is stripped and never markup."""
    say = partial(show, console)
    print_evaluation(console, report.evaluation)
    say()
    say(f"Cost: {number(report.ledger.get('total'))} FTE, {_seconds(report)} s")
    for warning in report.warnings:
        say(f"Note: {one_line(warning)}", "yellow")
    say(f"Report: {run_dir / REPORT_HTML}")
    say(f"Again:  {one_line(report.reproduce)}")


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """The verdict and the numbers it rests on."""
    say, verdict = partial(show, console), evaluation.verdict
    say()
    say(verdict.outcome.upper(), STYLES[verdict.outcome])
    say(one_line(verdict.headline))
    if verdict.example:
        say(one_line(verdict.example))
    for caveat in verdict.caveats:
        say(f"  caveat: {one_line(caveat)}")
    prompts, baselines = evaluation.prompts, evaluation.baselines
    if prompts:
        say()
        say("Text prompts, on held-out user texts:", "bold")
        for index, result in enumerate(prompts[:PROMPTS_SHOWN], 1):
            say(f"  {index}. “{one_line(shown(result.text), 200)}”")
            say(f"     {_numbers(result)}")
        for line in _answers(prompts):
            say(line)
    if baselines:
        say()
        say("Baselines:", "bold")
        for result in baselines:
            say(f"  {result.searcher} “{one_line(shown(result.text), 60)}”: {_numbers(result)}")


def _numbers(result: PromptResult) -> str:
    text = f"lift {interval(result.llr_lift)} nats per answer"
    if has_bits([result]):
        text = f"D {interval(result.divergence_bits)} bits, {text}"
    if result.detector_rate_1 is not None or result.detector_rate_2 is not None:
        text += (
            f", planted behaviour fires: model_1 {percent(result.detector_rate_1)}, "
            f"model_2 {percent(result.detector_rate_2)}"
        )
    return text


def _answers(prompts: Sequence[PromptResult]) -> list[str]:
    if not prompts[0].findings:
        return []
    finding = prompts[0].findings[0]
    before = len(finding.example.context)
    after = f" after {before} message{'s' * (before > 1)}" if before else ""
    return [
        "",
        f"Under the first, asked{after}: {one_line(finding.example.text, ANSWER_LENGTH)}",
        f"  model_1: {one_line(finding.response_1, ANSWER_LENGTH)}",
        f"  model_2: {one_line(finding.response_2, ANSWER_LENGTH)}",
    ]


def _seconds(report: Report) -> str:
    total = report.seconds.get("total")
    return f"{sum(report.seconds.values()) if total is None else total:.0f}"
