"""Report -> the ``report.json`` dictionary that ``docs/report.schema.json`` describes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from softdiv.config.redact import redacted
from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.plugin.records import Finding, Section
from softdiv.report.model import Report
from softdiv.report.plain_text import encodable

SCHEMA_VERSION = 1
"""Raised when an existing key changes meaning or goes; new keys may come without."""


def to_contract(report: Report) -> dict[str, Any]:
    """Plain JSON values only.

    A number that is not finite becomes null, a lone surrogate U+FFFD: JSON in UTF-8 has neither.
    """
    evaluation = report.evaluation
    soft = {
        **report.training,
        "divergence_bits": evaluation.soft_bits,
        "curve": report.training_curve,
    }
    contract: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            **evaluation_to_contract(evaluation),
            "soft_prompt": soft,
            "sections": [_section(section) for section in report.sections],
            "ledger": report.ledger,
            "seconds": report.seconds,
            "pair": report.pair,
            "config": report.config,
            "machine": report.machine,
            "warnings": report.warnings,
            "reproduce": report.reproduce,
        }
    )
    return contract


def evaluation_to_contract(evaluation: Evaluation) -> dict[str, Any]:
    """The part of ``report.json`` that an evaluation alone gives, under the same keys."""
    contract: dict[str, Any] = plain(
        {
            "verdict": evaluation.verdict,
            "prompts": [_prompt(result) for result in evaluation.prompts],
            "baselines": [_prompt(result) for result in evaluation.baselines],
            "test_texts": evaluation.test_texts,
            "rounding_bits": evaluation.rounding_bits,
            "failures": redacted(evaluation.failures),
        }
    )
    return contract


def _prompt(result: PromptResult) -> dict[str, Any]:
    fields = attrs.asdict(result, recurse=False)
    del fields["is_baseline"]  # said by the list it is in
    fields["answers"] = [answers(finding) for finding in fields.pop("findings")]
    return fields


def answers(finding: Finding) -> dict[str, Any]:
    """Both models' answers to one user text under one prompt."""
    return {
        "user_text": finding.example.text,
        "context": [{"role": m.role, "content": m.content} for m in finding.example.context],
        "model_1": finding.response_1,
        "model_2": finding.response_2,
        "divergence_bits": finding.divergence_bits,
        "log_likelihood_ratio": finding.log_likelihood_ratio,
    }


def _section(section: Section) -> dict[str, Any]:
    return attrs.asdict(section, recurse=False)


def plain(value: Any) -> Any:
    """Nothing but JSON's own types: records become objects, what is not finite null."""
    if isinstance(value, str):
        return encodable(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if attrs.has(type(value)):
        return plain(attrs.asdict(value, recurse=False))
    if isinstance(value, Mapping):
        return {encodable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar
        return plain(value.item())
    return encodable(str(value))
