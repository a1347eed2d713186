"""A real softdiv run into a real MLflow folder, read back with MLflow's own client."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from softdiv_mlflow import MlflowObserver

from softdiv import DivergencePipeline, ExperimentConfig, RunEvent
from softdiv.testing import ObserverTests

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
TINY: dict[str, Any] = {
    "plugins": ["mlflow"],
    "pair": {"name": "tiny"},
    "training": {
        "num_soft_prompt_tokens": 2,
        "max_steps": 3,
        "validate_every": 2,
        "validation_texts": 2,
        "response_tokens": 3,
        "engine": {"name": "torch"},
    },
    "generation": {
        "max_length": 4,
        "budget_fte": 4000,
        "num_prompts": 1,
        "searchers": [{"name": "amplified"}],
        "baselines": [{"name": "empty"}],
    },
    "evaluation": {"test_texts": 3, "response_tokens": 4, "bootstrap_resamples": 100},
    "data": {"max_texts_per_category": 4},
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes artifacts, and what it is not told where, into the current folder."""
    monkeypatch.chdir(tmp_path)


def test_a_run_is_in_mlflow(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    observer = {"name": "mlflow", "experiment": "tests", "tracking_uri": store}
    config = ExperimentConfig.from_dict({**TINY, "observers": [observer]})
    result = DivergencePipeline(config=config, run_dir=tmp_path / "one").run()
    assert not any("mlflow" in warning for warning in result.report.warnings)
    client = MlflowClient(tracking_uri=store)
    place = client.get_experiment_by_name("tests").experiment_id
    (run,) = client.search_runs([place])
    assert run.info.run_name == "one" and run.info.status == "FINISHED"
    assert run.data.params["training.max_steps"] == "3"
    verdict = result.report.evaluation.verdict
    assert run.data.tags["verdict"] == verdict.outcome
    assert run.data.tags["headline"] == verdict.headline
    curve = result.report.training_curve
    assert curve is not None
    logged = client.get_metric_history(run.info.run_id, "train/divergence")
    assert [metric.step for metric in logged] == [0, 1, 2]
    assert [m.value for m in logged] == pytest.approx(list(curve.series["training texts"]))
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"config.json", "report", "search", "test"}
    table = client.download_artifacts(run.info.run_id, "test/prompts.json", str(tmp_path))
    rows = json.loads(Path(table).read_text(encoding="utf-8"))["rows"]
    every = [*result.report.evaluation.prompts, *result.report.evaluation.baselines]
    assert [row["text"] for row in rows] == [prompt.text for prompt in every]


def opened(folder: Path, store: str, rank: int = 0) -> MlflowObserver:
    observer = MlflowObserver(tracking_uri=store)
    observer.softdiv_run_start(RunEvent(run_dir=folder, config=ExperimentConfig(), rank=rank))
    return observer


def test_a_continued_folder_goes_on_with_its_run(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    for step in (0, 1):
        observer = opened(tmp_path / "it's one", store)
        observer.softdiv_step_end(SimpleNamespace(metrics={"loss": 1.0}, step=step))  # type: ignore[arg-type]  # all that is read
        observer.softdiv_run_end(RunEvent(run_dir=tmp_path, config=ExperimentConfig()))
    client = MlflowClient(tracking_uri=store)
    (run,) = client.search_runs([client.get_experiment_by_name("softdiv").experiment_id])
    assert [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")] == [0, 1]


def test_other_ranks_log_nothing(tmp_path: Path) -> None:
    observer = opened(tmp_path / "two", f"sqlite:///{tmp_path}/mlflow.db", rank=1)
    observer.softdiv_step_end(SimpleNamespace(metrics={"loss": 1.0}, step=0))  # type: ignore[arg-type]  # all that is read
    observer.softdiv_run_end(RunEvent(run_dir=tmp_path, config=ExperimentConfig()))
    assert not list(tmp_path.iterdir())


class TestConformance(ObserverTests):
    def make(self) -> object:
        return MlflowObserver()
