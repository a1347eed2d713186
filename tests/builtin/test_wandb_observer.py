"""wandb watches; whatever it does, the result is the same."""

from __future__ import annotations

import importlib.machinery
import netrc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from softdiv.builtin import wandb_observer
from softdiv.builtin.wandb_observer import WandbObserver
from softdiv.config.load import ExperimentConfig
from softdiv.config.redact import HIDDEN
from softdiv.config.shipped import config_path
from softdiv.pipeline import DivergencePipeline, PipelineResult

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class FakeRun:
    id = "abc"

    def __init__(self, kind: FakeWandb) -> None:
        self.kind, self.summary = kind, {}  # type: ignore[var-annotated]

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        self.kind.logged.append((values, step))

    def log_artifact(self, artifact: Any) -> None:
        self.kind.artifacts.append(artifact)

    def finish(self, exit_code: int) -> None:
        self.kind.finished = exit_code


class FakeWandb:
    """The part of wandb's module that the observer calls."""

    class Settings(dict[str, Any]): ...

    class Table:
        def __init__(self, columns: list[str], data: list[list[Any]]) -> None:
            self.columns, self.data = columns, data

    class Artifact:
        def __init__(self, name: str, type: str) -> None:
            self.name, self.type, self.files = name, type, []  # type: ignore[var-annotated]
            self.contents: list[str] = []

        def add_file(self, path: str) -> None:
            self.files.append(Path(path).name)
            self.contents.append(Path(path).read_text(encoding="utf-8"))

    __spec__ = importlib.machinery.ModuleSpec("wandb", None)  # transformers looks for it

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, Any], int | None]] = []
        self.artifacts: list[Any] = []
        self.finished: int | None = None
        self.options: dict[str, Any] = {}

    def init(self, **options: Any) -> FakeRun:
        self.options = options
        self.run = FakeRun(self)
        return self.run


def run(folder: Path, *overrides: str) -> PipelineResult:
    config = ExperimentConfig.from_file(config_path("smoke"), ["plugins=[]", _METRICS, *overrides])
    return DivergencePipeline(config=config, run_dir=folder).run()


_METRICS = 'evaluation.metrics=[{ name = "jsd" }]'
WATCHED = 'observers=[{ name = "wandb" }]'


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
    return fake


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> PipelineResult:
    return run(tmp_path_factory.mktemp("plain") / "run")


def test_everything_is_logged(wandb: FakeWandb, tmp_path: Path) -> None:
    result = run(tmp_path / "run", WATCHED)
    assert wandb.options["mode"] == "offline"
    steps = [step for values, step in wandb.logged if "train/divergence" in values]
    assert steps == list(range(len(steps)))
    assert steps
    assert any("val/divergence_bits" in values for values, _ in wandb.logged)
    assert wandb.run.summary["outcome"] == result.report.evaluation.verdict.outcome
    (table,) = [values["prompts"] for values, _ in wandb.logged if "prompts" in values]
    texts = [row[table.columns.index("text")] for row in table.data]
    evaluation = result.report.evaluation
    assert texts == [r.text for r in (*evaluation.prompts, *evaluation.baselines)]
    assert "report.html" in wandb.artifacts[0].files
    assert wandb.finished == 0


def test_no_secret_is_uploaded(wandb: FakeWandb, tmp_path: Path) -> None:
    secret = "hf_" + "s" * 30
    watched = f'observers=[{{ name = "wandb", project = "{secret}" }}]'
    result = run(tmp_path / "run", watched)
    assert secret in (result.run_dir / "config.toml").read_text(), "the run itself keeps it"
    assert secret not in str(wandb.options["config"]) and HIDDEN in str(wandb.options["config"])
    assert secret not in "".join(wandb.artifacts[0].contents)
    for name in ("report.json", "report.html", "report.md"):
        assert secret not in (result.run_dir / name).read_text()
    assert secret not in str(result.report.config)


@pytest.mark.parametrize("fault", ["missing", "init", "log", "finish"])
def test_a_wandb_that_fails_changes_nothing(
    fault: str,
    plain: PipelineResult,
    wandb: FakeWandb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("wandb is down")

    if fault == "missing":
        monkeypatch.setitem(sys.modules, "wandb", None)
    elif fault == "init":
        monkeypatch.setattr(FakeWandb, "init", broken)
    else:
        monkeypatch.setattr(FakeRun, fault, broken)
    watched = run(tmp_path / "watched", WATCHED)
    assert _numbers(watched) == _numbers(plain)
    if fault != "finish":  # after the report is written there is no place left to say it
        said = " ".join(watched.report.warnings)
        assert "'wandb'" in said
        assert ("not installed" if fault == "missing" else "wandb is down") in said


def _numbers(result: PipelineResult) -> list[tuple[str, float]]:
    evaluation = result.report.evaluation
    return [(r.text, r.divergence_bits.value) for r in (*evaluation.prompts, *evaluation.baselines)]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": "k"}, "online"),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"}, "disabled"),
    ],
)
def test_offline_unless_there_is_a_key(
    environment: dict[str, str], expected: str, wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wandb_observer._resolved("auto") == expected
    assert wandb_observer._resolved("offline") == "offline"


def test_a_key_in_netrc_counts(
    wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine api.wandb.ai login user password k\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    assert netrc.netrc(path).authenticators("api.wandb.ai")
    assert wandb_observer._resolved("auto") == "online"


def test_the_real_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    result = run(tmp_path / "run", WATCHED)
    assert not [line for line in result.report.warnings if "wandb" in line]
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert WandbObserver().mode == "auto"
