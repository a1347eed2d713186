"""What every rendering of a report shows; first, which models, when, how, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softdiv.analysis.figures import figures_of
from softdiv.analysis.selection import shown
from softdiv.pair.naming import model_name
from softdiv.report.formatting import (
    MISSING,
    TRAINING,
    columns,
    metric_names,
    number,
    row,
    section_file,
    what_did_not_work,
)
from softdiv.report.model import Report


def page(report: Report) -> dict[str, Any]:
    """What the templates of a whole report are given."""
    evaluation = report.evaluation
    prompts, baselines = evaluation.prompts, evaluation.baselines
    everything = (*prompts, *baselines)
    metrics = metric_names(everything)
    return {
        "report": report,
        "evaluation": evaluation,
        "verdict": evaluation.verdict,
        "named": evaluation.named,
        "pair_name": str(report.pair.get("name", "pair")),
        "facts": facts(report),
        "columns": columns(everything),
        "prompt_rows": [row(result, everything) for result in prompts],
        "baseline_rows": [row(result, everything) for result in baselines],
        "metric_names": list(metrics),
        "metric_rows": [(shown(r.text), *(r.metrics.get(m) for m in metrics)) for r in everything],
        "lost": (*what_did_not_work(prompts, baselines), *evaluation.failures),
        "section_file": section_file,
        "training_file": TRAINING,
        "figures_of": figures_of,
    }


def facts(report: Report) -> tuple[tuple[str, str], ...]:
    """(name, value) of what a stranger asks first."""
    config, total = report.config, report.ledger.get("total")
    settings = [f"prompt at {placement(report)}"]
    if budget := _section(config, "generation").get("budget_fte"):
        settings.append(f"search budget {number(budget)} FTE")
    settings.append(f"seed {config.get('seed')}")
    day, _, time = report.created.partition("T")
    seconds = report.seconds.get("total", sum(report.seconds.values()))
    device = report.machine.get("device")
    return (
        ("model_1, the original", model_name(report.pair.get("model_1"))),
        ("model_2, the suspect", model_name(report.pair.get("model_2"))),
        ("run begun", f"{day} {time[:5]} UTC" if time else day or MISSING),
        ("settings", ", ".join(settings)),
        ("cost", f"{number(total)} FTE, {seconds:,.0f} s" + (f" on {device}" if device else "")),
    )


def placement(report: Report) -> Any:
    """Where the prompt sits in the chat."""
    return _section(report.config, "training").get("placement", "user_start")


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}
