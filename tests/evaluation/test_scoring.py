"""What response metrics are given, and that resampling happens only on demand and is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import pytest
import torch

from softdiv import DivergenceMetrics, Example, ResponsePair
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.schema import EvaluationConfig, GenerationConfig
from softdiv.errors import PairError
from softdiv.evaluation.scoring import Scorer
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair

TEXTS = ("How do I boil an egg?", "Tell me about the moon.", "Why?")


@attrs.define(eq=False)
class Recorder:
    """Keeps the pairs it is given."""

    level: ClassVar[Literal["response"]] = "response"

    seen: list[ResponsePair] = attrs.field(init=False, factory=list)

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        self.seen += pairs
        return [float(len(p.again_1)) for p in pairs]


@attrs.define(eq=False)
class Resampler(Recorder):
    resamples: ClassVar[int] = 2


def scorer(metrics: dict[str, Any], **generation: Any) -> Scorer:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.1).load("cpu")
    return Scorer(
        pair=ModelPair.of(model_1, model_2, tokenizer),
        layout=Layout(tokenizer),
        examples=[Example(id=text, text=text) for text in TEXTS],
        generation=GenerationConfig(max_length=8, **generation),
        evaluation=EvaluationConfig(response_tokens=8),
        metrics=DivergenceMetrics(metrics),
        seed=0,
    )


def test_without_a_wish_nothing_is_resampled() -> None:
    recorder = Recorder()
    made = scorer({"recorder": recorder})
    made.score(["", "Be brief."])
    assert len(recorder.seen) == 6
    assert all(p.again_1 == p.again_2 == () for p in recorder.seen)
    assert "resampling" not in made.pair.ledger.by_phase


def test_resamples_are_further_answers_of_the_same_model_and_cost_is_booked() -> None:
    plain, asked = Recorder(), Resampler()
    made = scorer({"plain": plain, "asked": asked}, batch_rows=4)
    scores, _ = made.score(["", "Be brief."])
    assert scores["Be brief."].metrics["asked"] == [2.0, 2.0, 2.0]
    assert plain.seen == asked.seen
    for pair in asked.seen:
        assert len({pair.response_1, *pair.again_1}) == 3
        assert len({pair.response_2, *pair.again_2}) == 3
    booked = made.pair.ledger.by_phase
    answers = booked["other"]
    # two further samples of each model alone, while the two answers ran through both models
    assert 0.8 * answers < booked["resampling"] < 1.2 * answers


def test_resampling_changes_no_answer_and_no_score() -> None:
    recorder, asked = Recorder(), Resampler()
    plain, _ = scorer({"r": recorder}).score([""])
    with_resamples, _ = scorer({"r": asked}).score([""])
    assert plain[""].findings == with_resamples[""].findings
    assert [p.response_2 for p in recorder.seen] == [p.response_2 for p in asked.seen]


def test_greedy_resamples_are_the_answers() -> None:
    asked = Resampler()
    scorer({"r": asked}, temperature=0.0).score([""])
    assert all(set(p.again_1) == {p.response_1} for p in asked.seen)
    assert all(set(p.again_2) == {p.response_2} for p in asked.seen)


def test_response_metrics_see_the_scored_tokens_and_never_the_soft_prompt() -> None:
    asked = Resampler()
    made = scorer({"r": asked})
    soft = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    scores, soft_scores = made.score([""], soft)
    assert soft_scores is not None
    assert "r" not in soft_scores.metrics
    assert len(asked.seen) == len(TEXTS)
    for pair, finding in zip(asked.seen, scores[""].findings, strict=True):
        assert pair.tokens_1 == finding.tokens_1
        assert pair.tokens_2 == finding.tokens_2
        assert sum(t.log_prob_2 - t.log_prob_1 for t in pair.tokens_2) == pytest.approx(
            finding.log_likelihood_ratio, abs=1e-3
        )


def test_models_that_agree_say_the_same() -> None:
    made = scorer({})
    model, tokenizer = TinyLoader(seed=0).load("cpu")
    made = attrs.evolve(
        made, pair=ModelPair.of(model, TinyLoader(seed=0).load("cpu")[0], tokenizer)
    )
    scores, _ = made.score(["Be brief."])
    findings = scores["Be brief."].findings
    assert [f.response_1 for f in findings] == [f.response_2 for f in findings]
    assert len({f.response_1 for f in findings}) > 1


def test_answers_that_are_no_numbers_are_never_alike() -> None:
    made = scorer({})
    word = made.layout.encode("Be brief.")[0]
    made.pair.model_2.embedding_table[word] = torch.nan
    made.score([""])
    with pytest.raises(PairError, match=r"not finite under the prompt 'Be brief.': asked: "):
        made.score(["Be brief."])


def test_rounding_is_measured_in_the_models_own_format_and_costs_nothing() -> None:
    single, sixteen = scorer({}), scorer({})
    for model in sixteen.pair.models:
        model.model.to(torch.bfloat16)
    assert 0 <= single.rounding_bits() < 1e-7
    assert 1e-6 < sixteen.rounding_bits() < 1e-2
    assert single.pair.ledger.total == sixteen.pair.ledger.total == 0
