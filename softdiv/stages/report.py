"""Write the report from the files of the other stages; no model is needed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from softdiv import stored
from softdiv.plugin.events import ReportEvent
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.records import Curve
from softdiv.report.model import Report
from softdiv.report.writer import write_report
from softdiv.stages.work import Work
from softdiv.storage.names import CONFIG, PROMPTS, through


def report(work: Work) -> None:
    """Write ``report.html``, ``report.md`` and ``report.json``.

    Raises:
        RunError: nothing was analyzed yet.
    """
    if work.run.done("report"):
        return
    found = build_report(work)
    with work.stage("report") as stage:
        stage.files |= write_report(found, work.run)
        files = [work.run.path / name for name in stage.files]
        work.observers.tell(Hooks.softdiv_report_ready, ReportEvent(report=found, files=files))


def build_report(work: Work) -> Report:
    """The report as an object, from the run's files alone. Raises RunError if one is missing.

    What a reader is given holds no secret of the config: ``config.toml`` alone has them.
    """
    run, config = work.run, work.config
    sections, evaluation = stored.sections(run), stored.evaluation(run)
    training, pair = stored.training_facts(run), stored.pair_facts(run)
    run.require("generate")
    ledger, finished = run.ledger(), through("analyze")
    return Report(
        pair={
            "name": pair.name,
            "model_1": config.pair.model_1.to_dict() if config.pair.model_1 else None,
            "model_2": config.pair.model_2.to_dict() if config.pair.model_2 else None,
            "organism": config.pair.organism,
            "notes": list(pair.notes),
            "identical": pair.identical,
            "chat_template": config.pair.chat_template or config.pair.template_of,
            "answers_end_with": list(pair.answers_end_with),
            "self_check": pair.self_check,
        },
        evaluation=evaluation,
        training=attrs.asdict(training),
        training_curve=convergence_curve(stored.metrics(run)),
        sections=sections,
        ledger={**ledger, "total": sum(ledger.values())},
        seconds={name: value for name, value in work.seconds().items() if name in finished},
        config=config.to_dict(),
        machine=run.manifest["facts"],
        created=run.manifest["created"],
        reproduce=_command(work),
        warnings=(*pair.notes, *work.changed, *work.notes(*finished)),
    ).without_secrets()


def _command(work: Work) -> str:
    run = work.run
    folder = run.path.absolute()  # the command is read later, and elsewhere
    config = shlex.quote(str(folder / CONFIG))
    files = "".join(
        f" --plugin-file {shlex.quote(str(path.absolute()))}" for path in work.plugin_files
    )
    if work.run.manifest["facts"].get("prompts") == "given":  # nothing was searched
        known = stored.prompts(run).prompts
        prompts = f" {shlex.quote(str(folder / PROMPTS))}" if known else ""
        return f"softdiv evaluate{prompts} --config {config}{files} --output-dir NEW_DIR"
    return f"softdiv run {config} --output-dir NEW_DIR{files}"


def convergence_curve(lines: Iterable[Mapping[str, Any]]) -> Curve | None:
    """Divergence by step on training batches and at each validation; None before any step."""
    steps = [line for line in lines if isinstance(line, Mapping) and "divergence" in line]
    if not steps:
        return None
    series = {"training texts": [_number(line["divergence"]) for line in steps]}
    validated = [_number(line.get("validation_bits")) for line in steps]
    if any(value == value for value in validated):
        series["validation texts"] = validated
    return Curve(
        title="Soft prompt training",
        x_label="steps",
        y_label="divergence, bits",
        x=[_number(line.get("step")) + 1 for line in steps],  # as the terminal counts: done
        series=series,
    )


def _number(value: object) -> float:
    """A value that was not finite is written as null."""
    return float(value) if isinstance(value, (int, float)) else float("nan")
