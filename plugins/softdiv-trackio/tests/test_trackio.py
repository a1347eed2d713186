"""A real softdiv run into a real trackio database, with the network watched."""

from __future__ import annotations

import socket
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from softdiv_trackio import ELSEWHERE, TrackioObserver

from softdiv import DivergencePipeline, ExperimentConfig, PluginManager, RunEvent
from softdiv.testing import ObserverTests

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
TINY = {
    "plugins": ["trackio"],
    "observers": [{"name": "trackio", "project": "tests"}],
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


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every attempt to reach another machine: refused, and listed here."""
    tried: list[Any] = []

    def refused(self: socket.socket, address: Any) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    def unresolved(host: Any, *_: Any, **__: Any) -> None:
        tried.append(host)
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    return tried


def test_a_run_is_logged_and_nothing_leaves_the_machine(
    tmp_path: Path,
    no_network: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import huggingface_hub

    # a logged-in user, whose name trackio would ask the hub for
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    config = ExperimentConfig.from_dict(TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = DivergencePipeline(config=config, run_dir=tmp_path / "one").run()
    assert no_network == []
    assert capsys.readouterr().out == ""
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False  # put back
    assert not any("trackio" in warning for warning in result.report.warnings)

    from trackio import Api
    from trackio.sqlite_storage import SQLiteStorage

    (logged,) = [run for run in Api().runs("tests") if run.name == "one"]
    assert logged.config is not None
    assert logged.config["softdiv"]["training"]["max_steps"] == 3
    lines = SQLiteStorage.get_logs("tests", "one", run_id=logged.id)
    steps = {line["step"]: line["train/divergence"] for line in lines if "train/divergence" in line}
    curve = result.report.training_curve
    assert curve is not None
    assert list(steps) == [0, 1, 2]
    assert list(steps.values()) == pytest.approx(list(curve.series["training texts"]))
    assert any("val/divergence_bits" in line for line in lines)
    (verdict,) = [line for line in lines if "verdict" in line]
    assert verdict["verdict"] == result.report.evaluation.verdict.outcome
    assert verdict["headline"] == result.report.evaluation.verdict.headline
    (held_out,) = [line["test/prompts"] for line in lines if "test/prompts" in line]
    rows = held_out["_value"]
    every = [*result.report.evaluation.prompts, *result.report.evaluation.baselines]
    assert [row["text"] for row in rows] == [prompt.text for prompt in every]
    assert [row["divergence_bits"] for row in rows] == pytest.approx(
        [prompt.divergence_bits.value for prompt in every]
    )
    assert any("search/prompts" in line for line in lines)

    from trackio import context_vars

    assert context_vars.current_run.get() is None  # or it would be closed, aloud, at exit again


@pytest.mark.parametrize("variable", ELSEWHERE)
def test_a_setting_that_sends_runs_elsewhere_is_refused(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "somebody/somewhere")
    observer = TrackioObserver()
    with pytest.raises(RuntimeError, match=f"unset {variable}"):
        observer.softdiv_run_start(RunEvent(run_dir=tmp_path, config=ExperimentConfig()))


def test_other_ranks_log_nothing(tmp_path: Path) -> None:
    observer = TrackioObserver(project="ranks")
    event = RunEvent(run_dir=tmp_path / "two", config=ExperimentConfig(), rank=1)
    observer.softdiv_run_start(event)
    observer.softdiv_step_end(SimpleNamespace(metrics={"loss": 1.0}, step=0))  # type: ignore[arg-type]
    observer.softdiv_run_end(event)
    from trackio import Api

    with pytest.raises(ValueError, match="does not exist"):
        Api().runs("ranks")


def test_declared_it_is_built_with_its_options() -> None:
    registry = PluginManager.load(["trackio"]).registry
    assert registry.build("observers", "trackio", {"project": "p"}).project == "p"


class TestConformance(ObserverTests):
    def make(self) -> object:
        return TrackioObserver(project="kit")
