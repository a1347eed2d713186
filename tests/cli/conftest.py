"""One finished run on tiny models, for every command that reads run folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from softdiv.cli.main import main

Call = Callable[..., int]

SETTINGS = (
    "plugins=[]",
    'evaluation.metrics=["jsd", "lexical_jaccard"]',
    "evaluation.bootstrap_resamples=100",
    "training.max_steps=2",
    'training.engine={ name = "torch" }',
    'generation.searchers=[{ name = "amplified", words = 3, user_turns = 2, answer_tokens = 4 }]',
    'generation.baselines=["natural_pool"]',
    "generation.budget_fte=6000",
)


@pytest.fixture(scope="session")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from softdiv.config.load import ExperimentConfig
    from softdiv.config.shipped import config_path

    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(ExperimentConfig.from_file(config_path("smoke"), SETTINGS).to_toml())
    return path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, config_file: Path) -> Path:
    from softdiv.config.load import ExperimentConfig
    from softdiv.pipeline import DivergencePipeline

    folder = tmp_path_factory.mktemp("runs") / "finished"
    config = ExperimentConfig.from_file(config_file)
    return DivergencePipeline(config=config, run_dir=folder).run().run_dir


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy to work on, alone in its parent folder."""
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "one"))


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models that share a tokenizer, as a user has them: folders."""
    from softdiv.builtin.loaders.tiny import TinyLoader

    parent = tmp_path_factory.mktemp("models")
    for name, noise in (("one", 0.0), ("two", 0.1)):
        for part in TinyLoader(noise=noise).load("cpu"):
            part.save_pretrained(parent / name)
    return parent / "one", parent / "two"


@pytest.fixture
def call() -> Call:
    """Run a command; its exit code."""

    def called(*arguments: object) -> int:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert isinstance(stopped.value.code, int)
        return stopped.value.code

    return called
