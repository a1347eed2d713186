"""The report as an object; every file is written from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from softdiv.config.redact import redacted
from softdiv.evaluation.results import Evaluation
from softdiv.plugin.records import Curve, Section


@attrs.frozen(kw_only=True)
class Report:
    """One run, ready to be read."""

    pair: Mapping[str, Any]
    """``name, model_1, model_2`` (loader tables), ``notes``, ``identical``, ``self_check``,
    ``chat_template``, ``answers_end_with``"""
    evaluation: Evaluation
    training: Mapping[str, Any]
    """``steps, best_bits, stop_reason, engine`` of the soft prompt"""
    training_curve: Curve | None
    sections: tuple[Section, ...]
    ledger: Mapping[str, int]
    """FTE by phase, and ``total``"""
    seconds: Mapping[str, float]
    """wall-clock by stage"""
    config: Mapping[str, Any]
    machine: Mapping[str, Any]
    reproduce: str
    """the command that repeats the run"""
    warnings: tuple[str, ...] = ()
    created: str = ""
    """when the run was begun, ISO 8601 in UTC"""

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from softdiv.report.notebook import to_notebook

        return to_notebook(self)

    def without_secrets(self) -> Report:
        """As a reader may have it: of a run's files only ``config.toml`` holds secrets."""
        failures = tuple(redacted(self.evaluation.failures))
        return attrs.evolve(
            self,
            pair=redacted(self.pair),
            evaluation=attrs.evolve(self.evaluation, failures=failures),
            config=redacted(self.config),
            machine=redacted(self.machine),
            reproduce=redacted(self.reproduce),
            warnings=tuple(redacted(self.warnings)),
        )
