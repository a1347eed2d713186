"""The verdict's rule, in one place. Thresholds come from the config and are printed with it."""

from __future__ import annotations

from collections.abc import Sequence

from softdiv.config.schema import EvaluationConfig
from softdiv.evaluation.null_bank import NullBank
from softdiv.evaluation.results import Outcome, PromptResult, Verdict
from softdiv.evaluation.statistics import paired_p_value
from softdiv.evaluation.wording import (
    CAVEAT,
    EVERYWHERE,
    LIFT_RATIO,
    SIGNIFICANT,
    Drift,
    calibration,
    concentration,
    differ_at_all,
    headline,
    rule,
)


def decide(
    found: Sequence[PromptResult],
    baselines: Sequence[PromptResult],
    config: EvaluationConfig,
    *,
    identical: bool,
    rounding_bits: float | None = None,
    bank: NullBank | None = None,
) -> Verdict:
    """Two questions: do the models differ at all, and does some text concentrate the difference?

    Args:
        rounding_bits: D where only the batch differs: no difference is called one below it.
        bank: benign pairs searched in the same way. With enough of them the second question is
            answered by p-values, else by floors.
    """
    tolerance = max(config.drift_floor_bits, rounding_bits or 0.0)
    drift = _drift(baselines, tolerance, rounding_bits)
    every = [*found, *baselines]
    calibrated = bank if bank is not None and bank.calibrates else None
    if calibrated is None:
        passing = [p for p in every if clear(p, every, config)]
        near = [p for p in every if p not in passing and on_average(p, every, config)]
        p_value = None
    else:
        values = calibrated.p_values([p.llr_lift.value for p in every])
        both = list(zip(every, values, strict=True))
        passing = [p for p, value in both if value <= SIGNIFICANT and p.llr_lift.low > 0]
        near = [p for p, value in both if p not in passing and value <= 2 * SIGNIFICANT]
        p_value = min(values, default=1.0)
    outcome: Outcome
    if passing:
        outcome = "difference found"
    elif near and not (drift is not None and drift.bare.low >= EVERYWHERE):
        outcome = "inconclusive"
    elif drift is not None and drift.largest.low > tolerance:
        outcome = "broad drift only"
    elif drift is None or (drift.bare.high > tolerance and drift.p_less > SIGNIFICANT):
        outcome = "inconclusive"
    else:
        outcome = "no difference found"
    best = passing or (near if outcome == "inconclusive" else [])
    said, example, prompt = headline(outcome, best, baselines, drift, config, identical=identical)
    if calibrated is not None and p_value is not None:
        said += (
            f" p = {p_value:.2g} against {len(calibrated.nulls)} benign pairs searched in the "
            "same way."
        )
    return Verdict(
        outcome=outcome,
        headline=said,
        example=example,
        prompt=prompt,
        differ_at_all=differ_at_all(drift, identical=identical),
        concentrated=concentration(passing, every, config, p_value),
        rule=rule(config, calibrated),
        caveats=(*calibration(bank), CAVEAT),
        p_value=p_value,
    )


def _drift(
    baselines: Sequence[PromptResult], tolerance: float, rounding_bits: float | None
) -> Drift | None:
    """How far the models differ on plain text, tested against the tolerance by user text."""
    bare = next((b for b in baselines if b.text == ""), None)
    if bare is None:
        return None
    bits = [finding.divergence_bits for finding in bare.findings]
    edge = [tolerance] * len(bits)
    widest = max(baselines, key=lambda b: b.divergence_bits.low)
    return Drift(
        bare=bare.divergence_bits,
        tolerance=tolerance,
        rounding_bits=rounding_bits,
        texts=len(bits),
        p_more=paired_p_value(bits, edge, seed=0) if bits else 1.0,
        p_less=paired_p_value(edge, bits, seed=0) if bits else 1.0,
        largest=widest.divergence_bits,
        where="the empty prompt" if widest.text == "" else f"the {widest.searcher} baseline",
    )


def clear(prompt: PromptResult, every: Sequence[PromptResult], config: EvaluationConfig) -> bool:
    """The rule: on average, and with the whole interval above the floor."""
    return prompt.llr_lift.low > config.lift_floor and on_average(prompt, every, config)


def on_average(
    prompt: PromptResult, every: Sequence[PromptResult], config: EvaluationConfig
) -> bool:
    """The rule for the means alone."""
    empty = next((p.llr.value for p in every if p.text == ""), 0.0)
    return prompt.llr_lift.value > config.lift_floor and prompt.llr.value >= LIFT_RATIO * max(
        empty, 0.0
    )
