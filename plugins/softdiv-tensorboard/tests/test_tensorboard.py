"""A real softdiv run into real event files, read back with TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from softdiv_tensorboard import TensorBoardObserver, _cell
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from softdiv import DivergencePipeline, ExperimentConfig, RunEvent
from softdiv.testing import ObserverTests

TINY = {
    "plugins": ["tensorboard"],
    "observers": [{"name": "tensorboard"}],
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


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_a_run_is_in_its_event_files(tmp_path: Path) -> None:
    config = ExperimentConfig.from_dict(TINY)
    result = DivergencePipeline(config=config, run_dir=tmp_path / "one").run()
    assert not any("tensorboard" in warning for warning in result.report.warnings)
    found = read(tmp_path / "one" / "tensorboard")
    curve = result.report.training_curve
    assert curve is not None
    steps = found.Scalars("train/divergence")
    assert [event.step for event in steps] == [0, 1, 2]
    assert [event.value for event in steps] == pytest.approx(list(curve.series["training texts"]))
    assert found.Scalars("val/divergence_bits")

    def text(name: str) -> str:
        (event,) = found.Tensors(f"{name}/text_summary")
        (value,) = event.tensor_proto.string_val
        return str(value.decode())

    evaluation = result.report.evaluation
    assert text("verdict").startswith(f"{evaluation.verdict.outcome}: ")
    rows = text("test/prompts").splitlines()
    assert len(rows) == 2 + len(evaluation.prompts) + len(evaluation.baselines)
    assert text("search/prompts").startswith("| prompt | searcher |")


def test_what_a_model_wrote_is_shown_as_it_stands() -> None:
    assert _cell("<b>|x|</b>\n# [y](z)") == r"\<b\>\|x\|\</b\> \# \[y\](z)"
    assert _cell(0.25) == "0.25" and _cell("---") == "---"


def test_runs_may_share_a_folder(tmp_path: Path) -> None:
    observer = TensorBoardObserver(folder=str(tmp_path / "all"))
    event = RunEvent(run_dir=tmp_path / "two", config=ExperimentConfig())
    observer.softdiv_run_start(event)
    observer.softdiv_step_end(SimpleNamespace(metrics={"loss": 1.0}, step=4))  # type: ignore[arg-type]  # all that is read
    observer.softdiv_run_end(event)
    (logged,) = read(tmp_path / "all" / "two").Scalars("train/loss")
    assert (logged.step, logged.value) == (4, 1.0)


def test_other_ranks_log_nothing(tmp_path: Path) -> None:
    observer = TensorBoardObserver()
    event = RunEvent(run_dir=tmp_path / "two", config=ExperimentConfig(), rank=1)
    observer.softdiv_run_start(event)
    observer.softdiv_step_end(SimpleNamespace(metrics={"loss": 1.0}, step=0))  # type: ignore[arg-type]  # all that is read
    observer.softdiv_run_end(event)
    assert not (tmp_path / "two").exists()


class TestConformance(ObserverTests):
    def make(self) -> object:
        return TensorBoardObserver()
