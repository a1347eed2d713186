"""The rule, case by case."""

from __future__ import annotations

import attrs
import pytest

from softdiv.config.schema import EvaluationConfig
from softdiv.evaluation.results import PromptResult
from softdiv.evaluation.verdict import decide
from softdiv.plugin.records import Example, Finding, Interval


def result(
    text: str,
    *,
    bits: float,
    llr: float,
    lift: tuple[float, float],
    p: float | None = None,
    baseline: bool = False,
) -> PromptResult:
    return PromptResult(
        text=text,
        searcher="empty" if not text else "s",
        is_baseline=baseline,
        divergence_bits=Interval(value=bits, low=bits * 0.9, high=bits * 1.1),
        llr=Interval(value=llr, low=llr, high=llr),
        llr_lift=Interval(value=lift[0], low=lift[1], high=lift[0] * 2 - lift[1]),
        p_value=p,
        perplexity=None,
        retention=None,
        search_bits=None,
        cost_fte=1,
        metrics={},
        detector_rate_1=None,
        detector_rate_2=None,
        findings=(),
    )


EMPTY = result("", bits=0.12, llr=9.2, lift=(0, 0), baseline=True)


@pytest.mark.parametrize(
    ("prompt", "empty", "outcome"),
    [
        (result("boats", bits=0.4, llr=60, lift=(50, 40), p=0.001), EMPTY, "difference found"),
        (result("boats", bits=0.4, llr=60, lift=(50, 5), p=0.001), EMPTY, "inconclusive"),
        # not beating a baseline says something of the search, not of the models
        (result("boats", bits=0.4, llr=60, lift=(50, 40), p=0.2), EMPTY, "difference found"),
        # the prototype's int4 rounding: large drift everywhere, no lift
        (result("x", bits=0.2, llr=10.7, lift=(1.5, 0.2), p=0.01), EMPTY, "broad drift only"),
        # a lift that only scales what is there already is not concentrated
        (
            result("x", bits=0.5, llr=60, lift=(25, 20), p=0.001),
            result("", bits=0.4, llr=35, lift=(0, 0), baseline=True),
            "broad drift only",
        ),
        (
            result("x", bits=0.0, llr=0.0, lift=(0, 0), p=1.0),
            result("", bits=0.0, llr=0.0, lift=(0, 0), baseline=True),
            "no difference found",
        ),
    ],
)
def test_outcome(prompt: PromptResult, empty: PromptResult, outcome: str) -> None:
    verdict = decide([prompt], [empty], EvaluationConfig(), identical=False)
    assert verdict.outcome == outcome


def test_a_natural_prompt_that_exposes_it_counts_too() -> None:
    natural = result("Talk of ships.", bits=0.4, llr=60, lift=(50, 40), baseline=True)
    verdict = decide([], [EMPTY, natural], EvaluationConfig(), identical=False)
    assert verdict.outcome == "difference found"


@pytest.mark.parametrize(("p", "words"), [(0.01, "The search beat"), (0.4, "did not beat")])
def test_whether_the_search_beat_the_baselines_is_said(p: float, words: str) -> None:
    found = result("boats", bits=0.4, llr=60, lift=(50, 40), p=p)
    assert words in decide([found], [EMPTY], EvaluationConfig(), identical=False).concentrated


def test_rule_prints_its_thresholds() -> None:
    verdict = decide([], [EMPTY], EvaluationConfig(lift_floor=17.5), identical=False)
    assert "17.5 nats" in verdict.rule


@pytest.mark.parametrize(
    ("bits", "largest", "words"),
    [
        (0.86, 0.99, "differently, without any prompt (D at least 0.77 bits"),
        (0.2, 0.56, "D at least 0.50 bits of at most 1 under the s baseline, at least 0.18"),
        (0.32, 0.2, "D at least 0.29 bits of at most 1 under the empty prompt, at least 0.29"),
        (0.2, 0.25, "drift apart a little everywhere (at least 0.2250 bits)"),
    ],
)
def test_a_drift_is_called_what_it_is(bits: float, largest: float, words: str) -> None:
    bare = result("", bits=bits, llr=80, lift=(0, 0), baseline=True)
    natural = result("Hi", bits=largest, llr=82, lift=(2, 0), baseline=True)
    verdict = decide([], [bare, natural], EvaluationConfig(), identical=False)
    assert verdict.outcome == "broad drift only"
    assert words in verdict.headline
    assert verdict.prompt == ""  # plain texts


def test_the_best_found_prompt_is_named_before_a_better_one_of_a_pool() -> None:
    natural = result("Talk of ships.", bits=0.4, llr=70, lift=(60, 50), baseline=True)
    found = result("boats", bits=0.4, llr=60, lift=(50, 40), p=0.5)
    verdict = decide([found], [EMPTY, natural], EvaluationConfig(), identical=False)
    assert "'boats'" in verdict.headline and "ships" not in verdict.headline
    assert verdict.prompt == "boats"


def on_texts(bits: list[float]) -> PromptResult:
    """The empty prompt, with D on each text."""
    findings = tuple(
        Finding(
            prompt="",
            example=Example(id=str(n), text="Hello"),
            response_1="a",
            response_2="a",
            divergence_bits=value,
            log_likelihood_ratio=0.0,
            tokens_1=(),
            tokens_2=(),
        )
        for n, value in enumerate(bits)
    )
    mean = sum(bits) / len(bits)
    spread = Interval(value=mean, low=min(bits), high=max(bits))
    return attrs.evolve(
        result("", bits=mean, llr=0, lift=(0, 0), baseline=True),
        divergence_bits=spread,
        findings=findings,
    )


@pytest.mark.parametrize(
    ("bits", "words", "outcome"),
    [
        ([0.04, 0.05, 0.06, 0.05, 0.04], "Yes, by more than 0.005 bits", "broad drift only"),
        (
            [0.002, 0.001, 0.003, 0.002, 0.001, 0.006],
            "By less than 0.005 bits",
            "no difference found",
        ),
        # each of them far above it, but no test of four texts can be significant
        ([0.04, 0.05, 0.06, 0.05], "Probably, by more than 0.005 bits", "broad drift only"),
        # too few texts, or too far apart, to say either
        ([0.002, 0.009], "Not clearly more or less than 0.005 bits", "inconclusive"),
    ],
)
def test_the_first_part_has_a_tolerance_and_a_test(
    bits: list[float], words: str, outcome: str
) -> None:
    verdict = decide([], [on_texts(bits)], EvaluationConfig(), identical=False)
    assert verdict.differ_at_all.startswith(words)
    assert verdict.outcome == outcome


def test_what_rounding_makes_of_d_is_no_difference() -> None:
    drift = on_texts([0.04, 0.05, 0.06, 0.05, 0.04, 0.05])
    seen = decide([], [drift], EvaluationConfig(), identical=False, rounding_bits=0.0001)
    assert seen.outcome == "broad drift only"
    assert "rounding alone makes 0.0001" in seen.differ_at_all
    noisy = decide([], [drift], EvaluationConfig(), identical=False, rounding_bits=0.1)
    assert noisy.outcome == "no difference found"
    assert noisy.differ_at_all.startswith("By less than 0.1 bits")


def test_a_prompt_that_nearly_passes_does_not_hide_what_is_everywhere() -> None:
    near = result("x", bits=0.7, llr=40, lift=(30, 5))
    little = result("", bits=0.02, llr=10, lift=(0, 0), baseline=True)
    everywhere = result("", bits=0.6, llr=10, lift=(0, 0), baseline=True)
    config = EvaluationConfig()
    assert decide([near], [little], config, identical=False).outcome == "inconclusive"
    seen = decide([near], [everywhere], config, identical=False)
    assert seen.outcome == "broad drift only"
    assert "without any prompt" in seen.headline and "'x'" not in seen.headline
