"""What the held-out evaluation says: one record per prompt, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import attrs

from softdiv.plugin.records import Finding, Interval

Outcome = Literal["difference found", "broad drift only", "no difference found", "inconclusive"]


def defined(value: float) -> float | None:
    """A number that can be undefined, for a file: NaN is nothing there."""
    return None if math.isnan(value) else value


@attrs.frozen(kw_only=True)
class PromptResult:
    """A text prompt (or baseline) scored on held-out user texts."""

    text: str
    searcher: str
    is_baseline: bool
    divergence_bits: Interval
    """D, with its 95 % bootstrap interval over user texts; NaN where no tokens are shared."""
    llr: Interval
    """log-likelihood ratio of model_2's own fresh answers, nats per answer; NaN where a served
    model gives no log-probabilities"""
    llr_lift: Interval
    """the same minus the empty prompt's, paired by user text"""
    p_value: float | None
    """paired permutation test of the ratio against the best baseline, after Benjamini-Hochberg"""
    perplexity: float | None
    """of the prompt's text under model_1; None for the empty prompt"""
    retention: float | None
    """(D - D_empty) / (D_soft - D_empty), None where the denominator is below 0.02 bit"""
    search_bits: float | None
    """D on the search's own texts: optimised, biased upwards"""
    cost_fte: int
    metrics: Mapping[str, float | str]
    """mean over user texts of each metric; "not available: reason" where a plugin failed"""
    detector_rate_1: float | None
    """share of model_1's answers in which an organism's detector fires (None: no organism)"""
    detector_rate_2: float | None
    findings: tuple[Finding, ...]


@attrs.frozen(kw_only=True)
class Verdict:
    """The rule's outcome and the numbers it was decided on."""

    outcome: Outcome
    headline: str
    """A sentence or two for a reader in a hurry: which text, what model_2 does, how often."""
    differ_at_all: str
    """First part: do the models differ on empty and natural text?"""
    concentrated: str
    """Second part: does some text expose a concentrated difference?"""
    rule: str
    """The rule with its thresholds, printed in full."""
    caveats: tuple[str, ...] = ()
    example: str = ""
    """one answer of each model in which the difference shows; empty where none was made out"""
    prompt: str | None = None
    """the text that the headline speaks of; "" is plain texts without a prompt, None is none"""
    p_value: float | None = None
    """the best prompt's, against benign pairs searched in the same way; None: not calibrated"""


@attrs.frozen(kw_only=True)
class Evaluation:
    """Everything measured on the held-out texts."""

    verdict: Verdict
    prompts: tuple[PromptResult, ...]
    """found by searchers, best first"""
    baselines: tuple[PromptResult, ...]
    soft_bits: Interval | None
    """held-out D with the trained soft prompt in place: an upper bound, not evidence"""
    test_texts: int
    rounding_bits: float | None = None
    """D of a model and itself, one conversation at a time and several at once; None: unknown"""
    conversation: str = ""
    """of the first text under that prompt, as both models get it: chat template and all"""
    failures: tuple[str, ...] = ()
    """plugins that failed, named"""

    @property
    def named(self) -> PromptResult | None:
        """What the headline speaks of; where that is no text, the best prompt that was found."""
        results = (*self.prompts, *self.baselines)
        told = (result for result in results if result.text == self.verdict.prompt)
        return next(told, self.prompts[0] if self.prompts else None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of every prompt and baseline, the best prompt's first."""
        results = (*self.prompts, *self.baselines)
        return tuple(finding for result in results for finding in result.findings)
