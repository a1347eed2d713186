"""``softdiv compare RUN RUN``: two runs side by side, from their files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import FOLDER, json_option
from softdiv.cli.terminal import say, say_json
from softdiv.plain_text import one_line

if TYPE_CHECKING:
    from softdiv.evaluation.results import PromptResult
    from softdiv.report.comparison import Comparison, RunSummary

LABEL, COLUMN = 26, 40
SHARED_SHOWN = 8


@click.command()
@click.argument("first", metavar="RUN", type=FOLDER)
@click.argument("second", metavar="RUN", type=FOLDER)
@json_option
def compare(first: Path, second: Path, as_json: bool) -> None:
    """Two evaluated runs side by side: verdicts, best prompts, metrics, differing settings."""
    from softdiv.report.comparison import Comparison
    from softdiv.report.formatting import interval

    comparison = Comparison.of(first, second)
    if as_json:
        say_json(_table(comparison))
        return
    one, two = comparison.runs
    _row("", str(one.run_dir), str(two.run_dir))
    for label, value_1, value_2 in zip(_LABELS, _facts(one), _facts(two), strict=True):
        _row(label, value_1, value_2)
    for name in dict.fromkeys((*_metrics(one), *_metrics(two))):
        _row(one_line(name, LABEL), _metrics(one).get(name, "–"), _metrics(two).get(name, "–"))
    if comparison.shared:
        say()
        say("D in bits of texts both runs scored:")
        shared = sorted(
            comparison.shared.items(), key=lambda item: -item[1][0].divergence_bits.value
        )
        for text, (result_1, result_2) in shared[:SHARED_SHOWN]:
            label = f"“{one_line(text, LABEL - 3)}”" if text else "(empty prompt)"
            _row(label, interval(result_1.divergence_bits), interval(result_2.divergence_bits))
    say()
    say("settings that differ:" if comparison.settings else "same settings")
    for key, (value_1, value_2) in comparison.settings.items():
        say(f"  {key}")
        say(f"    {_setting(value_1)}")
        say(f"    {_setting(value_2)}")


_LABELS: tuple[str, ...] = (
    "verdict",
    "pair",
    "created",
    "best prompt",
    "searcher",
    "D (bits)",
    "lift (nats)",
    "p-value",
    "planted fires, model_2",
    "soft prompt D",
    "test texts",
    "cost (FTE)",
)


def _facts(run: RunSummary) -> list[str]:
    from softdiv.report.formatting import interval, number, percent

    best, evaluation = run.best, run.evaluation
    return [
        evaluation.verdict.outcome,
        run.pair,
        run.created,
        f"“{best.text}”" if best else "none",
        best.searcher if best else "–",
        interval(best.divergence_bits if best else None),
        interval(best.llr_lift if best else None),
        "–" if best is None or best.p_value is None else f"{best.p_value:.3g}",
        percent(best.detector_rate_2) if best else "–",
        interval(evaluation.soft_bits),
        str(evaluation.test_texts),
        number(sum(run.ledger.values())),
    ]


def _metrics(run: RunSummary) -> dict[str, str]:
    if run.best is None:
        return {}
    found = run.best.metrics.items()
    return {name: v if isinstance(v, str) else f"{v:.4f}" for name, v in found}


def _row(label: str, first: str, second: str) -> None:
    left, right = one_line(first, COLUMN), one_line(second, COLUMN)
    say(f"{label:<{LABEL}}  {left:<{COLUMN}}  {right}".rstrip())


def _setting(value: Any) -> str:
    return "(not set)" if value is None else one_line(json.dumps(value, ensure_ascii=False), 110)


def _table(comparison: Comparison) -> dict[str, Any]:
    from softdiv.report.contract import evaluation_to_contract, plain

    def shared(result: PromptResult) -> dict[str, Any]:
        return {"divergence_bits": result.divergence_bits, "llr_lift": result.llr_lift}

    table: dict[str, Any] = plain(
        {
            "runs": [
                {
                    "run_dir": run.run_dir,
                    "pair": run.pair,
                    "created": run.created,
                    "ledger": run.ledger,
                    **evaluation_to_contract(run.evaluation),
                }
                for run in comparison.runs
            ],
            "settings": comparison.settings,
            "shared": {
                text: [shared(result) for result in results]
                for text, results in comparison.shared.items()
            },
        }
    )
    return table
