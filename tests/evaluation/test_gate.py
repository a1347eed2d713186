from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from softdiv.errors import ConfigError, PluginError
from softdiv.evaluation.gate import Across, Gate, parse_gates
from softdiv.evaluation.results import Evaluation, PromptResult, Verdict
from softdiv.plugin.records import Interval


def prompt(bits: float, lift: float = 0.0, **metrics: Any) -> PromptResult:
    def point(value: float) -> Interval:
        return Interval(value=value, low=value, high=value)

    return PromptResult(
        text=f"p{bits}",
        searcher="s",
        is_baseline=False,
        divergence_bits=point(bits),
        llr=point(3.0),
        llr_lift=point(lift),
        p_value=None,
        perplexity=None,
        retention=None,
        search_bits=None,
        cost_fte=0,
        metrics=metrics,
        detector_rate_1=None,
        detector_rate_2=None,
        findings=(),
    )


def evaluation(*prompts: PromptResult) -> Evaluation:
    return Evaluation(
        verdict=Verdict(
            outcome="inconclusive", headline="", differ_at_all="", concentrated="", rule=""
        ),
        prompts=prompts,
        baselines=tuple(attrs.evolve(p, is_baseline=True) for p in [prompt(99.0)]),
        soft_bits=None,
        test_texts=2,
    )


@pytest.mark.parametrize(
    ("across", "value", "over", "under"),
    [("max", 0.4, False, True), ("mean", 0.3, True, False), ("min", 0.2, True, False)],
)
def test_prompts_values_become_one_and_baselines_do_not_count(
    across: Across, value: float, over: bool, under: bool
) -> None:
    found = evaluation(prompt(0.2), prompt(0.4))
    result = Gate(metric="jsd", side="over", limit=0.35).check(found, across)
    assert result.value == pytest.approx(value)
    assert result.passed is over
    assert Gate(metric="jsd", side="under", limit=0.35).check(found, across).passed is under


def test_a_value_at_the_limit_passes_both_ways() -> None:
    found = evaluation(prompt(0.25))
    assert Gate(metric="jsd", side="over", limit=0.25).check(found).passed
    assert Gate(metric="jsd", side="under", limit=0.25).check(found).passed


def test_the_configs_own_metric_wins_over_the_measured_one() -> None:
    found = evaluation(prompt(0.2, jsd=0.7, kl=1.5))
    assert Gate(metric="jsd", side="over", limit=0.3).check(found).value == 0.7
    assert Gate(metric="kl", side="over", limit=0.3).check(found).value == 1.5
    assert Gate(metric="llr", side="over", limit=0.3).check(found).value == 3.0


@pytest.mark.parametrize("side", ["over", "under"])
def test_what_is_not_a_number_never_passes(side: Any) -> None:
    assert (
        not Gate(metric="kl", side=side, limit=0.0).check(evaluation(prompt(0, kl=math.nan))).passed
    )
    assert not Gate(metric="jsd", side=side, limit=0.0).check(evaluation()).passed


def test_a_metric_that_failed_is_an_error_and_not_a_pass() -> None:
    found = evaluation(prompt(0.2, kl="not available: ValueError: x"))
    with pytest.raises(PluginError, match="'kl' cannot be checked: not available"):
        Gate(metric="kl", side="over", limit=9.0).check(found)
    with pytest.raises(PluginError, match="gave no value"):
        Gate(metric="tv", side="over", limit=9.0).check(found)


def test_every_bad_limit_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_gates(["jsd=0,2", "kl=1"], ["llr_lft=3"], ["kl"])
    assert len(caught.value.problems) == 2
    assert "did you mean 'llr_lift'?" in caught.value.problems[1]
    first, second = parse_gates(["kl=1"], [" llr_lift = 3 "], ["kl"])
    assert (first.side, second.metric, second.limit) == ("under", "llr_lift", 3.0)
