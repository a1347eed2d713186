"""The rule where D is undefined."""

from __future__ import annotations

import math

import attrs
import pytest

from softdiv.config.schema import EvaluationConfig
from softdiv.evaluation.results import PromptResult
from softdiv.evaluation.text_verdict import decide_by_text
from softdiv.plugin.records import Interval

UNDEFINED = Interval(value=math.nan, low=math.nan, high=math.nan)


def result(text: str, llr: float, lift: float = 0.0, wide: float = 1.0) -> PromptResult:
    return PromptResult(
        text=text,
        searcher="s",
        is_baseline=not text,
        divergence_bits=UNDEFINED,
        llr=Interval(value=llr, low=llr - wide, high=llr + wide),
        llr_lift=Interval(value=lift, low=lift - wide, high=lift + wide),
        p_value=None,
        perplexity=None,
        retention=None,
        search_bits=None,
        cost_fte=1,
        metrics={"llr_per_byte": llr / 50},
        detector_rate_1=None,
        detector_rate_2=None,
        findings=(),
    )


@pytest.mark.parametrize(
    ("bare", "prompt", "outcome", "words"),
    [
        (result("", 9), result("boats", 60, 51), "difference found", "rises by 51.0 nats"),
        (result("", 9), result("boats", 60, 51, wide=45), "inconclusive", "not reliably"),
        (result("", 40), result("boats", 60, 20), "broad drift only", "at least 39.0 nats"),
        (result("", 0.2), result("boats", 2, 1.8), "inconclusive", "about as likely"),
    ],
)
def test_the_ratio_decides(
    bare: PromptResult, prompt: PromptResult, outcome: str, words: str
) -> None:
    verdict = decide_by_text([prompt], [bare], EvaluationConfig(), undefined="", bank_given=False)
    assert (verdict.outcome, words in verdict.headline) == (outcome, True)
    assert "nan" not in " ".join(map(str, attrs.astuple(verdict)))
    assert "Undefined: D and every other measure" in verdict.caveats[0]
    assert "per byte" in verdict.differ_at_all


def test_a_bank_of_pairs_that_share_tokens_is_not_used() -> None:
    prompts = [result("boats", 60, 51)], [result("", 9)]
    verdict = decide_by_text(*prompts, EvaluationConfig(), undefined="", bank_given=True)
    assert verdict.p_value is None
    assert "null bank is not used" in verdict.caveats[-1]


def test_without_a_ratio_nothing_is_concluded() -> None:
    bare = attrs.evolve(result("", 1), llr=UNDEFINED, llr_lift=UNDEFINED)
    verdict = decide_by_text([], [bare], EvaluationConfig(), undefined="no one", bank_given=False)
    assert verdict.outcome == "inconclusive" and verdict.prompt is None
    assert verdict.headline == "Only the answers could be compared: no one."
    assert "log-likelihood ratio is undefined too: no one" in verdict.caveats[0]
