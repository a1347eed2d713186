"""Stages alone on an existing folder: what they need, what they repeat, what they leave alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError, RunError
from softdiv.pipeline import STORY, DivergencePipeline
from softdiv.plugin.hookspecs import hookimpl
from softdiv.storage.atomic import read_json, sha256_file
from softdiv.storage.names import BEST, STAGES
from softdiv.storage.run_files import RunFiles

pytestmark = pytest.mark.filterwarnings(
    # DeepSpeed's own modules; nothing we can change
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning:deepspeed.*",
)


def config(*overrides: str) -> ExperimentConfig:
    return ExperimentConfig.from_file(
        config_path("smoke"),
        ["plugins=[]", 'evaluation.metrics=["jsd"]', "training.max_steps=4", *overrides],
    )


def files(run: Path) -> dict[str, str]:
    found = (path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): sha256_file(path) for path in found}


def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("softdiv.stages.load.ModelPairManager.load", load)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stages") / "run"
    return DivergencePipeline(config=config(), run_dir=folder).run().run_dir


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_stages_one_by_one_are_the_whole_run(finished: Path, tmp_path: Path) -> None:
    assert list(STORY) == list(STAGES)
    run = tmp_path / "run"
    DivergencePipeline(config=config(), run_dir=run).run_stage("train")
    for stage in STAGES[1:]:
        DivergencePipeline.of_run(run).run_stage(stage)
    for name in ("hard_prompts.jsonl", "evaluation.json", "analysis.json"):
        assert sha256_file(run / name) == sha256_file(finished / name)
    alone, whole = (read_json(r / "report.json") for r in (run, finished))
    assert alone["ledger"] == whole["ledger"]
    assert alone["warnings"] == whole["warnings"]


def test_a_finished_run_loads_nothing_tells_nobody_and_writes_nothing(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_models(monkeypatch)
    before = files(copy)

    class Told:
        @hookimpl
        def softdiv_run_start(self, event: Any) -> None:
            raise AssertionError("told")

    pipeline = DivergencePipeline(config=config(), run_dir=copy, observers=[(Told(), "'told'")])
    result = pipeline.run()
    assert files(copy) == before
    evaluation, created = result.report.evaluation, result.report.created
    assert evaluation.prompts[0].findings[0].tokens_2
    assert created == read_json(copy / "manifest.json")["created"]
    assert evaluation.named is not None and evaluation.named.text in evaluation.conversation
    assert evaluation.named.findings[0].example.text in evaluation.conversation


def test_analysis_and_report_need_no_model(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_models(monkeypatch)
    before = read_json(copy / "report.json")
    (copy / "report.html").unlink()
    DivergencePipeline.of_run(copy, force=True).run_stage("analyze")
    assert "report" not in read_json(copy / "manifest.json")["stages"]  # made from the old analysis
    DivergencePipeline.of_run(copy).run_stage("report")
    after = read_json(copy / "report.json")
    assert (copy / "report.html").exists()
    elsewhere = {"seconds": 0, "reproduce": ""}  # the fixture was copied
    assert {**after, **elsewhere} == {**before, **elsewhere}


def test_a_file_that_changed_is_not_built_on(copy: Path) -> None:
    with DivergencePipeline.of_run(copy)._opened("train", "report") as work:
        work.forget("generate")
    prompt = copy / BEST
    content = bytearray(prompt.read_bytes())
    content[-1] ^= 1
    prompt.write_bytes(content)
    with pytest.raises(RunError, match=r"best.safetensors has changed since train .* --force"):
        DivergencePipeline.of_run(copy).run_stage("generate")
    assert not (copy / "hard_prompts.jsonl").exists()


def test_a_config_edited_in_the_folder_is_refused(copy: Path) -> None:
    toml = copy / "config.toml"
    toml.write_text(toml.read_text().replace("test_texts = 4", "test_texts = 5"))
    with pytest.raises(RunError, match="config.toml has changed since the run was made"):
        DivergencePipeline.of_run(copy, force=True).run_stage("evaluate")
    assert RunFiles.of(copy).changed() == [f"{toml} has changed since the run was made"]
    edited = ExperimentConfig.from_file(toml)
    with pytest.raises(RunError, match="config.toml is no longer the one it was made with"):
        DivergencePipeline(config=edited, run_dir=copy).run()


def test_a_stage_repeated_is_not_paid_twice(copy: Path) -> None:
    before = read_json(copy / "manifest.json")["stages"]["evaluate"]
    DivergencePipeline.of_run(copy, force=True).run_stage("evaluate")
    stages = read_json(copy / "manifest.json")["stages"]
    assert stages["evaluate"]["ledger"] == before["ledger"]
    assert stages["evaluate"]["files"] == before["files"]
    assert set(stages) == {"load", "train", "generate", "evaluate"}


def test_training_again_starts_from_nothing(copy: Path) -> None:
    steps = (copy / "metrics.jsonl").read_text().count("\n")
    DivergencePipeline.of_run(copy, force=True).run_stage("train")
    assert (copy / "metrics.jsonl").read_text().count("\n") == steps == 4
    assert not (copy / "hard_prompts.jsonl").exists()


@pytest.mark.parametrize(
    ("stage", "missing", "command"),
    [
        ("generate", "train", "softdiv train"),
        ("evaluate", "generate", "softdiv generate"),
        ("analyze", "evaluate", "softdiv evaluate"),
        ("report", "analyze", "softdiv analyze"),
    ],
)
def test_a_missing_stage_is_named_with_its_command(
    copy: Path, stage: str, missing: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_models(monkeypatch)
    with DivergencePipeline.of_run(copy)._opened("train", "report") as work:
        work.forget(missing)
    with pytest.raises(RunError, match=f"has no .* yet \\({command} "):
        DivergencePipeline.of_run(copy).run_stage(stage)


def test_a_folder_that_is_no_run_and_a_misspelt_stage(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(RunError, match="is not a softdiv run"):
        DivergencePipeline.of_run(tmp_path)
    with pytest.raises(RunError, match="did you mean 'evaluate'"):
        DivergencePipeline.of_run(finished).run_stage("evalute")


def test_a_bad_device_is_refused_before_there_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device: 'cdua' cannot be used"):
        DivergencePipeline(config=config("device=cdua"), run_dir=tmp_path / "run").run()
    assert not (tmp_path / "run").exists()


def test_a_run_that_failed_before_it_had_anything_leaves_no_folder(tmp_path: Path) -> None:
    missing = 'pair={ model_1={ loader="hf", path="no/such" }, model_2={ loader="tiny" } }'
    with pytest.raises(Exception, match="no model at 'no/such'"):
        DivergencePipeline(config=config(missing), run_dir=tmp_path / "run").run()
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(Exception, match="no model at 'no/such'"):
        DivergencePipeline(config=config(missing), run_dir=tmp_path / "mine").run()
    assert (tmp_path / "mine").is_dir()  # it was there before


def test_a_run_killed_in_training_spends_what_an_uninterrupted_one_does(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from softdiv.training.step import OptimizerStep

    step, calls = OptimizerStep.take, []

    def dies(self: OptimizerStep, batch: Any, *more: Any) -> dict[str, float]:
        calls.append(batch)
        if len(calls) == 4:  # one step after the checkpoint at 3
            raise KeyboardInterrupt
        return step(self, batch, *more)

    with monkeypatch.context() as patch:
        patch.setattr(OptimizerStep, "take", dies)
        with pytest.raises(KeyboardInterrupt):
            DivergencePipeline(config=config(), run_dir=tmp_path / "run").run()
    DivergencePipeline(config=config(), run_dir=tmp_path / "run").run()
    killed, whole = (read_json(r / "report.json") for r in (tmp_path / "run", finished))
    assert killed["ledger"] == whole["ledger"]
    assert sha256_file(tmp_path / "run" / "evaluation.json") == sha256_file(
        finished / "evaluation.json"
    )
