"""One finished run on tiny models, with its prompts in the users' texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.pipeline import DivergencePipeline

SETTINGS = (
    "plugins=[]",
    'evaluation.metrics=["jsd"]',
    "evaluation.bootstrap_resamples=100",
    "training.max_steps=2",
    'training.engine={ name = "torch" }',
    'generation.searchers=[{ name = "amplified", words = 2, user_turns = 1, answer_tokens = 4 }]',
    'generation.baselines=["natural_pool"]',
    "generation.budget_fte=4000",
    "analysis.analyzers=[]",
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ExperimentConfig.from_file(config_path("smoke"), SETTINGS)
    folder = tmp_path_factory.mktemp("export") / "run"
    return DivergencePipeline(config=config, run_dir=folder).run().run_dir
