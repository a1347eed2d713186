"""Report -> the ``report.json`` dictionary that ``docs/report.schema.json`` describes."""

from __future__ import annotations

from typing import Any

import attrs

from softdiv.config.redact import redacted
from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.plain_text import encodable
from softdiv.report.model import Report
from softdiv.storage.plain import to_plain
from softdiv.stored import answer_record

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
            "sections": report.sections,
            "ledger": report.ledger,
            "seconds": report.seconds,
            "created": report.created,
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
            "conversation": evaluation.conversation,
            "failures": redacted(evaluation.failures),
        }
    )
    return contract


def _prompt(result: PromptResult) -> dict[str, Any]:
    fields = attrs.asdict(result, recurse=False)
    del fields["is_baseline"]  # said by the list it is in
    fields["answers"] = [answer_record(finding) for finding in fields.pop("findings")]
    return fields


def plain(value: Any) -> Any:
    """Nothing but JSON's own types: records become objects, what is not finite null."""
    return to_plain(value, text=encodable, strange=lambda number: None)
