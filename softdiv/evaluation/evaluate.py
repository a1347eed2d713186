"""Held-out evaluation of every prompt and baseline, from scores to the verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import attrs
from torch import Tensor

from softdiv.evaluation.null_bank import NullBank
from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.evaluation.scoring import Scorer, Scores
from softdiv.evaluation.statistics import benjamini_hochberg, interval, paired_p_value
from softdiv.evaluation.text_scoring import TextScorer
from softdiv.evaluation.text_verdict import decide_by_text
from softdiv.evaluation.verdict import decide
from softdiv.plugin.records import Finding, HardPrompt, Interval

AnyScorer = Scorer | TextScorer
RETENTION_FLOOR = 0.02
"""bits; below this gap between soft and empty, retention is a ratio of noise"""


def evaluate(
    scorer: AnyScorer,
    prompts: Sequence[HardPrompt],
    baselines: Sequence[HardPrompt],
    *,
    soft: Tensor | None,
    detector: re.Pattern[str] | None = None,
    search_failures: Sequence[str] = (),
    bank: NullBank | None = None,
) -> Evaluation:
    """Score everything on the same held-out texts.

    Args:
        soft: ``[k, H]`` trained prompt, scored as an upper bound.
        detector: ground truth of a planted organism; only reported, never used to choose.
        bank: benign pairs searched in the same way; without them the verdict has no p-value.
    """
    if all(baseline.text for baseline in baselines):
        # drift is measured without a prompt, whichever baselines the config runs
        baselines = [HardPrompt(text="", searcher="empty"), *baselines]
    texts = ["", *(prompt.text for prompt in (*prompts, *baselines))]
    scores, soft_scores = scorer.score(texts, soft)
    adjusted = _p_values(prompts, baselines, scores, scorer.seed)

    def result(prompt: HardPrompt, *, is_baseline: bool) -> PromptResult:
        return _result(
            prompt,
            is_baseline=is_baseline,
            scores=scores,
            soft=soft_scores,
            p_value=None if is_baseline else adjusted.get(prompt.text),
            scorer=scorer,
            detector=detector,
        )

    found = [result(prompt, is_baseline=False) for prompt in prompts]
    found.sort(key=lambda r: -r.llr_lift.value)
    beside = [result(prompt, is_baseline=True) for prompt in baselines]
    rounding_bits = None
    if isinstance(scorer, TextScorer):
        undefined, calibrated = scorer.pair.undefined, bank is not None
        verdict = decide_by_text(
            found, beside, scorer.evaluation, undefined=undefined, bank_given=calibrated
        )
    else:
        rounding_bits = scorer.rounding_bits()  # last: it leaves other keys and values behind
        verdict = decide(
            found,
            beside,
            scorer.evaluation,
            identical=scorer.pair.report.same,
            rounding_bits=rounding_bits,
            bank=bank,
        )
    unavailable = [f"metric '{n}' {why}" for n, why in scorer.metrics.unavailable.items()]
    made = Evaluation(
        verdict=verdict,
        prompts=tuple(found),
        baselines=tuple(beside),
        soft_bits=_interval(soft_scores.bits, scorer) if soft_scores else None,
        rounding_bits=rounding_bits,
        test_texts=len(scorer.examples),
        failures=(*search_failures, *unavailable),
    )
    prompt = made.named.text if made.named else ""
    return attrs.evolve(made, conversation=scorer.layout.text(scorer.examples[0], prompt))


def _p_values(
    prompts: Sequence[HardPrompt],
    baselines: Sequence[HardPrompt],
    scores: dict[str, Scores],
    seed: int,
) -> dict[str, float]:
    if not baselines or not prompts:
        return {}
    means = {b.text: sum(scores[b.text].llr) / len(scores[b.text].llr) for b in baselines}
    rival = scores[max(means, key=means.__getitem__)].llr
    if any(map(math.isnan, rival)):
        return {}
    raw = [paired_p_value(scores[p.text].llr, rival, seed=seed) for p in prompts]
    return dict(zip([p.text for p in prompts], benjamini_hochberg(raw), strict=True))


def _result(
    prompt: HardPrompt,
    *,
    is_baseline: bool,
    scores: dict[str, Scores],
    soft: Scores | None,
    p_value: float | None,
    scorer: AnyScorer,
    detector: re.Pattern[str] | None,
) -> PromptResult:
    own, empty = scores[prompt.text], scores[""]
    lifts = [ours - plain for ours, plain in zip(own.llr, empty.llr, strict=True)]
    metrics: dict[str, float | str] = dict(scorer.metrics.unavailable)
    metrics |= {name: sum(v) / len(v) for name, v in own.metrics.items() if v}
    rates = _detector_rates(own.findings, detector)
    return PromptResult(
        text=prompt.text,
        searcher=prompt.searcher,
        is_baseline=is_baseline,
        divergence_bits=_interval(own.bits, scorer),
        llr=_interval(own.llr, scorer),
        llr_lift=_interval(lifts, scorer),
        p_value=p_value,
        perplexity=scorer.perplexity(prompt.text),
        retention=_retention(own, empty, soft),
        search_bits=prompt.score_bits,
        cost_fte=prompt.cost_fte,
        metrics=metrics,
        detector_rate_1=rates[0],
        detector_rate_2=rates[1],
        findings=own.findings,
    )


def _interval(values: Sequence[float], scorer: AnyScorer) -> Interval:
    if any(map(math.isnan, values)):
        return Interval(value=math.nan, low=math.nan, high=math.nan)
    return interval(values, resamples=scorer.evaluation.bootstrap_resamples, seed=scorer.seed)


def _retention(own: Scores, empty: Scores, soft: Scores | None) -> float | None:
    if soft is None:
        return None
    base = sum(empty.bits) / len(empty.bits)
    gap = sum(soft.bits) / len(soft.bits) - base
    if gap <= RETENTION_FLOOR:
        return None
    return (sum(own.bits) / len(own.bits) - base) / gap


def _detector_rates(
    findings: Sequence[Finding], detector: re.Pattern[str] | None
) -> tuple[float | None, float | None]:
    if detector is None or not findings:
        return None, None
    rates = [
        sum(bool(detector.search(answer)) for answer in answers) / len(findings)
        for answers in (
            [f.response_1 for f in findings],
            [f.response_2 for f in findings],
        )
    ]
    return rates[0], rates[1]
