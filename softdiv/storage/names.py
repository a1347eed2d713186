"""A run's stages in their order, and the names of the files they leave in its folder."""

from __future__ import annotations

from collections.abc import Mapping

PRODUCTS: Mapping[str, str] = {
    "train": "trained soft prompt",
    "generate": "text prompts",
    "evaluate": "evaluation",
    "analyze": "analysis",
    "report": "report",
}
"""Stage -> what it makes, in a message."""
STAGES = tuple(PRODUCTS)
"""In order; the names of the commands, and of the entries in ``manifest.json``."""

LOCK = "run.lock"
MANIFEST = "manifest.json"
CONFIG = "config.toml"
"""The resolved configuration: the run again, on any machine that has its models."""
EVENTS = "events.jsonl"
REVISIONS = "revisions"
"""Folder in a run folder; the run itself is revision 1."""

PAIR = "pair.json"
TRAINING = "training.json"
CHECKPOINTS = "checkpoints"
BEST = f"{CHECKPOINTS}/best.safetensors"
METRICS = "metrics.jsonl"
"""One line per step, the same in every run of a configuration on one machine."""
TIMINGS = "timings.jsonl"
"""Seconds, shares and memory per step: never the same twice, so kept apart."""
PROMPTS = "hard_prompts.jsonl"
EVALUATION = "evaluation.json"
ANSWERS = "generations.jsonl"
ANALYSIS = "analysis.json"
SECTIONS = "analysis"
"""Folder of the report's sections, a file each."""
REPORT, REPORT_MD, REPORT_HTML = "report.json", "report.md", "report.html"

LEFTOVERS: Mapping[str, tuple[str, ...]] = {"train": (METRICS, TIMINGS, CHECKPOINTS)}
"""What a stage writes while it is under way, beside the files it is marked finished with."""


def through(stage: str) -> tuple[str, ...]:
    """The manifest's entries up to a stage, loading included."""
    return ("load", *STAGES[: STAGES.index(stage) + 1])
