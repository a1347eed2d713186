"""Whole runs under observers that fail in every hook there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_site import install, observer

from softdiv.config.load import ExperimentConfig
from softdiv.pipeline import DivergencePipeline, PipelineResult
from softdiv.plugin.hookspecs import lifecycle_hooks
from softdiv.storage.atomic import read_json_lines

SMOKE = Path(__file__).parents[2] / "configs" / "smoke.toml"
AFTER_THE_REPORT = ("softdiv_report_ready", "softdiv_run_end")
SMALL = (
    'evaluation.metrics=["jsd"]',
    'training.engine.name="torch"',
    "training.max_steps=3",
    "generation.budget_fte=2000",
    'generation.searchers=[{ name = "amplified", words = 3, user_turns = 1, answer_tokens = 4 }]',
    'generation.baselines=["empty"]',
)


def run(folder: Path, names: list[str]) -> PipelineResult:
    listed = ", ".join(f'"{name}"' for name in names)
    config = ExperimentConfig.from_file(
        SMOKE, [*SMALL, f"plugins=[{listed}]", f"observers=[{listed}]"]
    )
    return DivergencePipeline(config=config, run_dir=folder).run()


def found(result: PipelineResult) -> list[tuple[str, float]]:
    evaluation = result.report.evaluation
    return [(p.text, p.divergence_bits.value) for p in (*evaluation.prompts, *evaluation.baselines)]


def test_raising_in_any_hook_is_attributed_and_changes_no_result(
    site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = []
    for hook in lifecycle_hooks():
        name = hook.removeprefix("softdiv_").replace("_", "-")
        names.append(name)
        body = f"@hookimpl\ndef {hook}(self, event):\n    raise ValueError('no such column')"
        install(site, name, observer(name, body))
    plain = run(tmp_path / "plain", [])
    disturbed = run(tmp_path / "disturbed", names)
    assert found(disturbed) == found(plain)
    metrics = [
        [
            {k: v for k, v in line.items() if k in ("step", "loss", "divergence", "grad_norm")}
            for line in read_json_lines(tmp_path / which / "metrics.jsonl")
        ]
        for which in ("plain", "disturbed")
    ]
    assert metrics[0] == metrics[1] and len(metrics[0]) == 3
    events = read_json_lines(tmp_path / "disturbed" / "events.jsonl")
    failures = {event["line"]: event["traceback"] for event in events if "line" in event}
    for hook, name in zip(lifecycle_hooks(), names, strict=True):
        line = (
            f"plugin '{name}' (softdiv-{name} 1.2) failed in {hook.removeprefix('softdiv_')}: "
            "ValueError: no such column"
        )
        assert "Traceback" in failures[line]
        assert line in caplog.text
        if hook not in AFTER_THE_REPORT:
            assert line in disturbed.report.warnings


def test_hooks_are_called_in_the_configs_order(site: Path, tmp_path: Path) -> None:
    body = (
        "@hookimpl\ndef softdiv_step_end(self, event):\n"
        "    event.log('order', event.metrics.get('order', 0) * 10 + {n})"
    )
    for number in (1, 2, 3):
        install(site, f"n{number}", observer(f"n{number}", body.replace("{n}", str(number))))
    run(tmp_path / "run", ["n3", "n1", "n2"])
    lines = read_json_lines(tmp_path / "run" / "metrics.jsonl")
    assert {line["order"] for line in lines} == {312}
