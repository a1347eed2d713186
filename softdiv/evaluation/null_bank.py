"""What the same search finds on pairs in which nothing was planted: the verdict's p-values.

A search maximises, and its maximum is large on any pair. How large, only benign pairs tell that
were searched with the same searchers, budget and texts; ``softdiv calibrate`` searches them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.load import ExperimentConfig
from softdiv.data.shipped_texts import shipped_null_bank
from softdiv.errors import ConfigError
from softdiv.storage.records import read_record

LEAST = 19
"""Benign pairs without which no p-value can reach 0.05."""
PASSED_OVER = {
    "training": ("engine", "checkpoint_every", "keep_checkpoints", "gradient_checkpointing"),
    "evaluation": (
        "null_bank",
        "metrics",
        "bootstrap_resamples",
        "lift_floor",
        "drift_floor_bits",
    ),
}
"""Settings that change nothing of what a search finds or of its lift."""


@attrs.frozen(kw_only=True)
class Null:
    """One benign pair, searched."""

    name: str
    seed: int
    lift: float
    """the largest of the found prompts', nats per answer"""
    baseline_lift: float
    """the largest of the baselines'"""
    prompt: str
    """the one with the largest lift"""


@attrs.frozen(kw_only=True)
class NullBank:
    """Benign pairs searched with one set of settings."""

    settings: str
    """:func:`settings_digest` of the config they were searched with"""
    model_1: Mapping[str, Any]
    """the loader table of the model they are variants of"""
    nulls: tuple[Null, ...]

    @property
    def model(self) -> str:
        """The model's name, for a reader."""
        return str(self.model_1.get("gguf_file") or self.model_1.get("path") or "model_1")

    @property
    def calibrates(self) -> bool:
        """Whether a p-value of 0.05 can be reached."""
        return len(self.nulls) >= LEAST

    def p_values(self, lifts: Sequence[float]) -> list[float]:
        """Conformal p-values of a run's prompts and baselines (Vovk et al. 2005).

        (1 + how many nulls reach the lift) / (1 + n), where a null is the largest lift of its own
        run: for a run's best prompt that is already the comparison of like with like. The others
        are corrected for their number (Benjamini-Hochberg).
        """
        from softdiv.evaluation.statistics import benjamini_hochberg  # scipy: a second to import

        nulls = [max(null.lift, null.baseline_lift) for null in self.nulls]
        raw = [(1 + sum(null >= lift for null in nulls)) / (1 + len(nulls)) for lift in lifts]
        most = max(lifts, default=0.0)
        adjusted = benjamini_hochberg(raw)
        return [r if x == most else a for x, r, a in zip(lifts, raw, adjusted, strict=True)]


def settings_digest(config: ExperimentConfig) -> str:
    """Of all settings that a search's lift depends on, except the pair and the seed."""
    table = config.to_dict()
    kept = {
        section: {
            key: value
            for key, value in table[section].items()
            if key not in PASSED_OVER.get(section, ())
        }
        for section in ("data", "training", "generation", "evaluation")
        if section in table
    }
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def null_bank(config: ExperimentConfig) -> NullBank | None:
    """The bank that the config names, else the one that comes with softdiv for just these settings
    and this model_1, if there is one.

    Raises:
        ConfigError: it was made with other settings.
        RunError: it cannot be read.
    """
    settings = settings_digest(config)
    if config.evaluation.null_bank is None:
        path = shipped_null_bank(settings)
        bank = read_record(path, NullBank) if path.is_file() else None
        model_1 = config.pair.model_1
        return bank if bank and model_1 and bank.model_1 == model_1.to_dict() else None
    path = Path(config.evaluation.null_bank)
    bank = read_record(path, NullBank)
    if bank.settings != settings:
        raise ConfigError(
            f"evaluation.null_bank: {path} was made with other settings of data, training, "
            "generation or evaluation than this run's",
            fix="softdiv calibrate makes one for this config",
        )
    return bank
