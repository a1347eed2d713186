"""The gate: exit code 7 when behaviour is outside the limits, 0 when it is inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Call

SAME = 'pair={ model_1 = { loader = "tiny", seed = 0 }, model_2 = { loader = "tiny", seed = 0 } }'


def test_known_prompts_fail_on_a_pair_that_differs_and_pass_on_identical_models(
    run: Path, config_file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = (run / "hard_prompts.jsonl", "--config", config_file)
    assert call("evaluate", *suite, "--fail-over", "jsd=0.05") == 7
    assert "gate FAILED: jsd = " in capsys.readouterr().out
    assert call("evaluate", *suite, "--set", SAME, "--fail-over", "jsd=0.05") == 0
    assert "gate passed: jsd = 0 <= 0.05 (max)" in capsys.readouterr().out
    # the other way round: prompts that no longer expose anything
    assert call("evaluate", *suite, "--set", SAME, "--fail-under", "jsd=0.05") == 7


def test_what_the_run_was_told_of_the_pair_is_told_here_too(
    run: Path, config_file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = SAME.replace("seed = 0", "chat = false")
    arguments = (run / "hard_prompts.jsonl", "--config", config_file, "--set", plain)
    assert call("evaluate", *arguments) == 0
    assert "Note: no chat template: texts are continued" in capsys.readouterr().out


def test_json_has_the_prompts_as_report_json_has_them(
    run: Path, config_file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (run / "hard_prompts.jsonl", "--config", config_file, "--json")
    assert call("evaluate", *arguments, "--fail-under", "llr_lift=-1e9") == 0
    shown = json.loads(capsys.readouterr().out)
    report = json.loads((run / "report.json").read_text())
    # same texts, same random numbers: a replay measures what the run measured
    keys = ("text", "divergence_bits", "llr_lift", "metrics", "answers")
    for ours, theirs in zip(shown["prompts"], report["prompts"], strict=True):
        for key in keys:
            words, numbers = leaves(ours[key])
            expected_words, expected_numbers = leaves(theirs[key])
            assert words == expected_words
            # The run decodes baselines in the same batch, the replay does not: on AMD's CPUs a
            # matrix product of fewer rows differs in the last bit (seen: 1e-8 in D, 1e-6 in lift).
            assert numbers == pytest.approx(expected_numbers, rel=1e-4, abs=1e-5)
    assert shown["gates"][0]["passed"] is True and shown["gates"][0]["metric"] == "llr_lift"


def leaves(value: Any) -> tuple[list[str | None], list[float]]:
    """The words (and missing values) and the numbers of a JSON value, in order, with its keys."""
    if isinstance(value, dict):
        value = [part for item in value.items() for part in item]
    if not isinstance(value, list):
        is_number = isinstance(value, (int, float))
        return ([], [value]) if is_number else ([value], [])
    parts = [leaves(part) for part in value]
    return [w for words, _ in parts for w in words], [n for _, numbers in parts for n in numbers]


def test_gates_on_a_finished_run_need_no_model(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("softdiv.pair.manager.ModelPairManager.load")
    assert call("evaluate", run, "--fail-over", "lexical_jaccard=-1", "--across", "min") == 7
    assert call("evaluate", run) == 0


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("jds=0.2", "did you mean 'jsd'?"),
        ("jsd", "expected METRIC=NUMBER"),
        ("jsd=nan", "expected METRIC=NUMBER"),
    ],
)
def test_a_bad_gate_is_refused_before_anything_is_loaded(
    gate: str,
    message: str,
    run: Path,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("softdiv.pair.manager.ModelPairManager.load")
    assert call("evaluate", run, "--fail-over", gate) == 2
    assert message in capsys.readouterr().err


def test_force_and_config_have_their_place(
    run: Path, call: Call, config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", run / "hard_prompts.jsonl", "--force") == 2
    assert "--force is for a run folder" in capsys.readouterr().err
    assert call("evaluate", run, "--config", config_file) == 2
    assert "--config cannot be combined" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_pair_fails_the_gate_and_the_model_against_itself_passes(
    tmp_path: Path, call: Call
) -> None:
    suite = tmp_path / "suite.jsonl"
    suite.write_text('{"text": "Tell me about the sea."}\n')
    gate = ("--fail-over", "jsd=0.05", "--set", "evaluation.test_texts=4")
    assert call("evaluate", suite, "--pair", "smollm2-vs-seafarer", *gate) == 7
    assert call("evaluate", suite, "--pair", "smollm2-vs-itself", *gate) == 0
