from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import EvaluationConfig
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError, RunError
from softdiv.evaluation.null_bank import LEAST, Null, NullBank, null_bank, settings_digest
from softdiv.evaluation.verdict import decide
from softdiv.storage.atomic import write_json
from softdiv.storage.plain import to_plain
from tests.evaluation.test_verdict import EMPTY, result


def bank_of(count: int, settings: str = "") -> NullBank:
    """Lifts of 1, 2, ... nats; baselines reach half of that."""
    nulls = tuple(
        Null(name=f"n{n}", seed=0, lift=n, baseline_lift=n / 2, prompt="x")
        for n in range(1, count + 1)
    )
    return NullBank(settings=settings, model_1={"loader": "tiny"}, nulls=nulls)


def test_a_p_value_counts_the_nulls_that_reach_it() -> None:
    bank = bank_of(19)
    assert bank.p_values([20.0]) == [1 / 20]
    assert bank.p_values([19.0]) == [2 / 20]
    assert bank.p_values([0.0]) == [1.0]
    # the best is compared with the best of each null run, the others corrected for their number
    assert bank.p_values([20.0, 19.5, 0.5]) == pytest.approx([1 / 20, 1.5 / 20, 1.0])
    assert bank.p_values([]) == []


def test_the_largest_of_exchangeable_values_passes_as_often_as_it_says() -> None:
    """Any of n + 1 benign pairs is the largest once: that is the conformal guarantee."""
    bank = bank_of(20)
    false = 0
    for ours in bank.nulls:
        others = tuple(null for null in bank.nulls if null is not ours)
        rest = NullBank(settings="", model_1={}, nulls=others)
        false += rest.p_values([ours.lift])[0] <= 0.05
    assert false / len(bank.nulls) == 0.05


@pytest.mark.parametrize(
    ("lift", "low", "outcome", "p"),
    [
        (40.0, 30.0, "difference found", 1 / 31),
        (5.0, 3.0, "broad drift only", 27 / 31),  # 26 nulls reach 5
        (29.0, 20.0, "inconclusive", 3 / 31),
        (40.0, -1.0, "inconclusive", 1 / 31),  # large, but not reliably above the empty prompt
    ],
)
def test_enough_nulls_decide_in_place_of_floors(
    lift: float, low: float, outcome: str, p: float
) -> None:
    found = result("boats", bits=0.4, llr=lift, lift=(lift, low), p=0.001)
    verdict = decide([found], [EMPTY], EvaluationConfig(), identical=False, bank=bank_of(30))
    assert verdict.outcome == outcome
    assert verdict.p_value == pytest.approx(p)
    assert "30 benign pairs" in verdict.headline and "30 benign pairs" in verdict.rule
    assert not any("Not calibrated" in caveat for caveat in verdict.caveats)


def test_too_few_nulls_do_not_calibrate() -> None:
    found = result("boats", bits=0.4, llr=60, lift=(50, 40), p=0.001)
    few = bank_of(LEAST - 1)
    verdict = decide([found], [EMPTY], EvaluationConfig(), identical=False, bank=few)
    assert verdict.outcome == "difference found" and verdict.p_value is None
    assert verdict.caveats[0].startswith("Not calibrated: 18 benign pairs are too few")
    assert "p =" not in verdict.headline


def test_a_baseline_is_compared_with_what_whole_runs_reach_by_chance() -> None:
    def decided(lift: float) -> str:
        natural = result("Talk of ships.", bits=0.4, llr=lift, lift=(lift, 15), baseline=True)
        bank = bank_of(30)
        return decide([], [EMPTY, natural], EvaluationConfig(), identical=False, bank=bank).headline

    assert "Talk of ships.' (of the baseline s; no prompt that was found passes)" in decided(31)
    assert "Talk of ships." not in decided(18)  # more than baselines reach, not more than searches


def test_a_bank_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bank.json"
    config = ExperimentConfig.from_dict({"evaluation": {"null_bank": str(path)}})
    with pytest.raises(RunError, match="bank.json"):
        null_bank(config)
    write_json(path, to_plain(bank_of(2, settings_digest(config))))
    assert null_bank(config) == bank_of(2, settings_digest(config))
    same = ["seed=5", "evaluation.lift_floor=3", 'pair={ name = "tiny" }', "num_threads=1"]
    assert null_bank(config.with_overrides(*same)) is not None
    for other in ("generation.budget_fte=7", "training.max_steps=3", "evaluation.test_texts=5"):
        with pytest.raises(ConfigError, match="was made with other settings"):
            null_bank(config.with_overrides(other))


def test_a_shipped_bank_serves_its_own_settings_and_model_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {"model_1": {"loader": "tiny"}, "model_2": {"loader": "tiny", "noise": 0.1}}
    config = ExperimentConfig.from_dict({"pair": models})
    monkeypatch.setattr(
        "softdiv.evaluation.null_bank.shipped_null_bank", lambda settings: tmp_path / settings
    )
    assert null_bank(config) is None
    settings = settings_digest(config)
    write_json(tmp_path / settings, to_plain(bank_of(20, settings)))
    assert null_bank(config) == bank_of(20, settings)
    assert null_bank(config.with_overrides("generation.budget_fte=7")) is None
    other = {**models, "model_1": {"loader": "tiny", "seed": 1}}
    assert null_bank(ExperimentConfig.from_dict({"pair": other})) is None


def test_the_quickstart_has_a_bank_of_its_own_settings() -> None:
    """Red when its settings change and its benign pairs were not searched again."""
    config = ExperimentConfig.from_file(config_path("quickstart"))
    config = attrs.evolve(config, pair=resolve_pair(config.pair, ModelRegistry.load()))
    bank = null_bank(config)
    assert bank is not None
    assert bank.calibrates
    names = [null.name for null in bank.nulls]
    assert {"itself", "int8", "selfsame", "trivia"} < set(names)
    assert len(set(names)) == len(names)
