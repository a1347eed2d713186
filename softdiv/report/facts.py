"""What a report is about: which models, when, with which settings, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softdiv.pair.naming import model_name
from softdiv.report.formatting import MISSING, number
from softdiv.report.model import Report


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
