"""``--fail-over`` and the like: limits, whose values they are compared with, where it is said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import stacked

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig
    from softdiv.evaluation.gate import Gate, GateResult
    from softdiv.evaluation.results import Evaluation

gate_options = stacked(
    click.option(
        "--fail-under", multiple=True, metavar="METRIC=X", help="Exit code 7 if it is below X."
    ),
    click.option(
        "--fail-over", multiple=True, metavar="METRIC=X", help="Exit code 7 if it is above."
    ),
    click.option(
        "--across",
        type=click.Choice(["max", "mean", "min"]),
        default="max",
        show_default=True,
        help="Which of the prompts' values a limit is compared with.",
    ),
    click.option(
        "--of",
        type=click.Choice(["prompts", "baselines", "all"]),
        help="Whose values [prompts; without any, the empty baseline's].",
    ),
    click.option(
        "--junit",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The limits as test cases, for a CI server.",
    ),
)


def gates_of(config: ExperimentConfig, under: tuple[str, ...], over: tuple[str, ...]) -> list[Gate]:
    """Before any model is loaded: a misspelt metric must not cost minutes."""
    if not under and not over:
        return []
    from softdiv.config.component import unique_names
    from softdiv.evaluation.gate import parse_gates

    return parse_gates(under, over, unique_names(config.evaluation.metrics))


def write_junit(
    file: Path, config: ExperimentConfig, evaluation: Evaluation, results: list[GateResult]
) -> None:
    """One test case per limit. Raises DiskError."""
    from softdiv.pair.naming import pair_name
    from softdiv.report.junit import to_junit
    from softdiv.storage.atomic import write_text

    pair = config.pair
    name = pair.name or pair_name(pair.model_1, pair.model_2)
    write_text(file, to_junit(name, evaluation, results))


def to_table(result: GateResult) -> dict[str, Any]:
    """One limit in the JSON."""
    return {
        "metric": result.gate.metric,
        "side": result.gate.side,
        "limit": result.gate.limit,
        "across": result.across,
        "value": result.value if math.isfinite(result.value) else None,
        "passed": result.passed,
    }
