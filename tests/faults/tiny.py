"""The run that everything in this folder happens to, and what of it has to stay the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from softdiv.storage.folder import TEMPORARY

CONFIG = """
plugins = []
num_threads = 1

[pair]
model_1 = { loader = "tiny", seed = 0, chat = false }
model_2 = { loader = "tiny", seed = 0, chat = false, noise = 0.05 }
[data]
categories = ["cooking"]
[training]
num_soft_prompt_tokens = 2
batch_size = 1
max_steps = 3
validate_every = 2
validation_texts = 1
checkpoint_every = 1
keep_checkpoints = 2
response_tokens = 2
engine = { name = "torch" }
[generation]
max_length = 3
num_generations_per_prompt = 2
budget_fte = 600
num_prompts = 1
searchers = [{ name = "amplified", words = 2, user_turns = 1, answer_tokens = 2 }]
baselines = ["natural_pool"]
[evaluation]
test_texts = 2
response_tokens = 2
bootstrap_resamples = 100
metrics = ["jsd"]
[analysis]
analyzers = ["token_disagreements"]
"""
STAGES = ("train", "generate", "evaluate", "analyze", "report")
_OF_THE_RUN = ("created", "seconds", "machine", "reproduce")


def reported(folder: Path) -> dict[str, Any]:
    """``report.json`` without what is never the same twice."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    del report["config"]["output_dir"]
    return {key: value for key, value in report.items() if key not in _OF_THE_RUN}


def results(folder: Path) -> dict[str, object]:
    """All that two runs of one config must agree in, to the bit."""
    names = ("evaluation.json", "hard_prompts.jsonl", "analysis.json", "metrics.jsonl")
    files = {name: (folder / name).read_bytes() for name in names}
    best = (folder / "checkpoints" / "best.safetensors").read_bytes()
    return {**files, "best": best, "report": reported(folder)}


def leftovers(folder: Path) -> list[str]:
    """Files that a writer left under way."""
    return [str(path.relative_to(folder)) for path in folder.rglob(f".*{TEMPORARY}")]
