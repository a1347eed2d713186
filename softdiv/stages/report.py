"""Write the report from the files of the other stages; no model is needed."""

from __future__ import annotations

import shlex

from softdiv.plugin.events import ReportEvent
from softdiv.report.convergence import convergence_curve
from softdiv.report.model import Report
from softdiv.report.writer import write_report
from softdiv.stages.analyze import read_sections
from softdiv.stages.evaluate import read_evaluation
from softdiv.stages.generate import PROMPTS
from softdiv.stages.train import TRAINING
from softdiv.stages.work import STAGES, Work
from softdiv.storage.atomic import read_json, read_json_lines
from softdiv.storage.run import CONFIG
from softdiv.training.continuation import METRICS


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
        work.observers.tell("report_ready", ReportEvent(report=found, files=files))


def build_report(work: Work) -> Report:
    """The report as an object, from the run's files alone. Raises RunError if one is missing.

    What a reader is given holds no secret of the config: ``config.toml`` alone has them.
    """
    sections, evaluation = read_sections(work), read_evaluation(work)
    run, config = work.run, work.config
    pair = read_json(run.path / "pair.json")
    ledger = work.ledger()
    finished = ("load", *STAGES[:-1])
    return Report(
        pair={
            "name": pair["name"],
            "model_1": config.pair.model_1.to_dict() if config.pair.model_1 else None,
            "model_2": config.pair.model_2.to_dict() if config.pair.model_2 else None,
            "organism": config.pair.organism,
            "notes": pair["notes"],
            "identical": pair["identical"],
            "chat_template": config.pair.chat_template or config.pair.template_of,
            "answers_end_with": pair.get("answers_end_with", []),
            "self_check": pair.get("self_check", {}),  # runs of 0.1.0 have none
        },
        evaluation=evaluation,
        training=read_json(run.path / TRAINING),
        training_curve=convergence_curve(read_json_lines(run.path / METRICS)),
        sections=sections,
        ledger={**ledger, "total": sum(ledger.values())},
        seconds={name: value for name, value in work.seconds().items() if name in finished},
        config=config.to_dict(),
        machine=run.manifest["facts"],
        reproduce=_command(work),
        warnings=(*pair["notes"], *work.changed, *work.notes(*finished)),
    ).without_secrets()


def _command(work: Work) -> str:
    config = shlex.quote(str(work.run.path / CONFIG))
    files = "".join(f" --plugin-file {shlex.quote(str(path))}" for path in work.plugin_files)
    if work.run.manifest["facts"].get("prompts") == "given":  # nothing was searched
        return (
            f"softdiv evaluate {shlex.quote(str(work.run.path / PROMPTS))} --config {config}{files}"
        )
    return f"softdiv run {config} --output-dir NEW_DIR{files}"
