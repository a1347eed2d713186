"""Benign pairs are searched as a run searches, and what is done is not done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.calibration import BANK, NullPair, calibrate, null_pairs
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.data.shipped_texts import shipped_nulls
from softdiv.errors import ConfigError
from softdiv.evaluation.null_bank import LEAST, Null, null_bank
from softdiv.pipeline import DivergencePipeline
from softdiv.storage.locks import locked

SMALL = (
    "plugins=[]",
    "training.max_steps=1",
    'generation.searchers=[{ name = "amplified", words = 2, user_turns = 0, answer_tokens = 4 }]',
    'generation.baselines=["empty"]',
    'evaluation.metrics=["jsd"]',
)
PAIRS = (NullPair("itself", {}), NullPair("noise", {"noise": 0.05}))


def config(*overrides: str) -> ExperimentConfig:
    return ExperimentConfig.from_file(config_path("smoke"), [*SMALL, *overrides])


def test_each_pair_is_a_run_and_none_is_repeated(tmp_path: Path) -> None:
    told: list[Null] = []
    bank = calibrate(config(), PAIRS, (0, 1), tmp_path, told.append)
    assert list(bank.nulls) == told
    assert [(n.name, n.seed) for n in told] == [
        ("itself", 0), ("noise", 0), ("itself", 1), ("noise", 1)
    ]  # fmt: skip
    assert [n.lift for n in told if n.name == "itself"] == [0.0, 0.0]
    assert all(n.lift != 0 for n in told if n.name == "noise")
    reports = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/report.json")}
    assert len(reports) == 4
    assert calibrate(config(), PAIRS, (0, 1), tmp_path) == bank
    assert {path: path.stat().st_mtime_ns for path in reports} == reports
    used = config(f"evaluation.null_bank={tmp_path / BANK}")
    assert null_bank(used) == bank
    report = DivergencePipeline(config=used, run_dir=tmp_path / "run").run().report
    caveat = report.evaluation.verdict.caveats[0]
    assert caveat.startswith("Not calibrated: 4 benign pairs are too few") and str(LEAST) in caveat


def test_what_another_process_searches_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softdiv.calibration.LOOK_AGAIN", 0.0)
    (tmp_path / "itself-seed-0").mkdir()
    other = locked(tmp_path / "itself-seed-0")
    told: list[str] = []

    def done(null: Null) -> None:
        told.append(null.name)
        other.release()

    bank = calibrate(config(), PAIRS, (0,), tmp_path, done)
    assert told == ["noise", "itself"]
    assert [null.name for null in bank.nulls] == ["itself", "noise"]


def test_the_shipped_pairs_are_enough() -> None:
    pairs = null_pairs(shipped_nulls())
    assert len(pairs) > LEAST
    assert {"itself", "bf16", "int8"} < {pair.name for pair in pairs}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "has no .*nulls"),
        ("[[nulls]]\nname = 'a'\n", "a null is"),
        ("[[nulls]]\nname = '../a'\nmodel_2 = {}\n", "is to be the name of a folder"),
        ("[[nulls]]\nname = 'a'\nmodel_2 = {}\n" * 2, "two nulls have one name"),
    ],
)
def test_a_file_of_pairs_that_cannot_be_used(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "nulls.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=why):
        null_pairs(path)


def test_pairs_of_several_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text("[[nulls]]\nname = 'mine'\nmodel_2 = {}\n")
    assert [p.name for p in null_pairs(shipped_nulls(), path)][-2:] == ["noise-0.04-4", "mine"]
    with pytest.raises(ConfigError, match="two nulls have one name: mine"):
        null_pairs(path, path)
