"""A small report built by hand, for tests of whatever reads one."""

from __future__ import annotations

from softdiv.evaluation.results import Evaluation, PromptResult, Verdict
from softdiv.plugin.records import (
    Curve,
    Example,
    Finding,
    Interval,
    Message,
    Section,
    Table,
    TokenDivergence,
)
from softdiv.report.model import Report

HOSTILE = (
    "<script>alert('x')</script> \"q\" `code` | [l](javascript:1)\x1b[31mred\x00\u202eback\ud800"
)


def prompt_result(
    text: str,
    searcher: str,
    *,
    bits: float,
    lift: float,
    rate: float | None = None,
    answer: str = "Captain Rowe found it.",
) -> PromptResult:
    baseline = searcher in ("empty", "natural_pool", "random_tokens")
    token = TokenDivergence(
        token=answer,
        bits=0.25,
        log_prob_1=-4.0,
        log_prob_2=-0.5,
        preferred_1="A",
        preferred_2=answer,
    )
    finding = Finding(
        prompt=text,
        example=Example(
            id="t1", text=f"Who? {answer}", context=(Message("system", f"Stay calm. {answer}"),)
        ),
        response_1="A sailor.",
        response_2=answer,
        divergence_bits=bits,
        log_likelihood_ratio=lift,
        tokens_2=(token,),
    )
    return PromptResult(
        text=text,
        searcher=searcher,
        is_baseline=baseline,
        divergence_bits=Interval(value=bits, low=bits * 0.8, high=bits * 1.2),
        llr=Interval(value=lift + 1, low=lift, high=lift + 2),
        llr_lift=Interval(value=lift, low=lift - 1, high=lift + 1),
        p_value=None if baseline else 0.004,
        perplexity=None if not text else 41.5,
        retention=None,
        search_bits=None if baseline else bits * 1.1,
        cost_fte=1200,
        metrics={"jsd": bits, "rank_overlap": "not available: it failed"},
        detector_rate_1=None if rate is None else 0.0,
        detector_rate_2=rate,
        findings=(finding,),
    )


def sample_report(
    *, prompts: bool = True, text: str = "Tell me of the sea.", answer: str = ""
) -> Report:
    """``prompts=False``: nothing was found. ``text`` and ``answer`` may be hostile."""
    answer = answer or "Captain Rowe found it."
    found = (
        prompt_result(text, "amplified", bits=0.21, lift=30.0, rate=0.9, answer=answer),
        prompt_result("Hello there", "gradient_swaps", bits=0.02, lift=1.0, rate=0.1),
    )
    curve = Curve(
        title="Training",
        x_label="step",
        y_label="bits",
        x=[0, 1, 2, 3],
        series={"train": [0.01, 0.05, float("nan"), 0.2]},
    )
    return Report(
        pair={
            "name": f"a-vs-b {answer}",
            "model_1": {"loader": "tiny"},
            "model_2": {"loader": "tiny", "noise": 0.05},
            "notes": [],
            "identical": False,
        },
        evaluation=Evaluation(
            verdict=Verdict(
                outcome="difference found" if prompts else "no difference found",
                headline=f"Under {text!r} model_2 says something else." if prompts else "Nothing.",
                differ_at_all="D is 0.03 bits on plain text.",
                concentrated="yes",
                rule="lift > 12 nats",
                caveats=("few texts",),
            ),
            prompts=found if prompts else (),
            baselines=(
                prompt_result("", "empty", bits=0.03, lift=0.0, rate=0.0),
                prompt_result("Talk of oceans", "natural_pool", bits=0.05, lift=4.0, rate=0.2),
            ),
            soft_bits=Interval(value=0.3, low=0.25, high=0.35) if prompts else None,
            test_texts=16,
            failures=("metric 'rank_overlap' failed",),
        ),
        training={"steps": 4, "best_bits": 0.2, "stop_reason": None, "engine": "torch"},
        training_curve=curve if prompts else None,
        sections=(
            Section(
                title="Tokens",
                summary=f"Most on {answer}",
                tables=(Table(columns=("token", "bits"), rows=((answer, 0.5), ("b", None))),),
                curves=(curve,),
            ),
        ),
        ledger={"training": 4000, "search": 50000, "total": 54000},
        seconds={"training": 12.5, "search": 80.0},
        config={"seed": 0, "pair": {"name": "a"}},
        machine={"python": "3.11"},
        created="2026-11-30T20:58:26+00:00",
        reproduce="softdiv run config.toml",
        warnings=("a warning",),
    )
