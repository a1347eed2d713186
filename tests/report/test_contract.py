from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from softdiv.report.contract import to_contract
from tests.report.sample import HOSTILE, sample_report

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("prompts", [True, False])
def test_sample_matches_the_schema_after_a_round_trip(prompts: bool) -> None:
    report = sample_report(prompts=prompts, text=HOSTILE, answer=HOSTILE)
    text = json.dumps(to_contract(report), allow_nan=False, ensure_ascii=False)
    VALIDATOR.validate(json.loads(text.encode().decode()))


def test_every_key_is_described() -> None:
    contract = to_contract(sample_report())
    assert set(contract) == set(SCHEMA["properties"])
    assert set(contract["prompts"][0]) == set(SCHEMA["$defs"]["prompt"]["properties"])
    assert set(contract["verdict"]) == set(SCHEMA["properties"]["verdict"]["properties"])


def test_schema_refuses_a_damaged_report() -> None:
    contract = to_contract(sample_report())
    for damage in ("outcome", "headline"):
        broken = copy.deepcopy(contract)
        broken["verdict"][damage] = 3
        assert not VALIDATOR.is_valid(broken)
    contract["prompts"][0].pop("llr_lift")
    assert not VALIDATOR.is_valid(contract)


def test_values_are_carried_over() -> None:
    contract = to_contract(sample_report())
    best = contract["prompts"][0]
    assert best["divergence_bits"]["value"] == 0.21
    assert best["answers"][0]["model_2"] == "Captain Rowe found it."
    assert contract["soft_prompt"]["divergence_bits"]["high"] == 0.35
    assert contract["soft_prompt"]["curve"]["series"]["train"][2] is None


def test_an_answer_has_the_messages_before_its_text() -> None:
    answer = to_contract(sample_report())["prompts"][0]["answers"][0]
    assert [m["role"] for m in answer["context"]] == ["system"]
    assert answer["context"][0]["content"].startswith("Stay calm. ")
