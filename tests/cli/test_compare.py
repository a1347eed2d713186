from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from softdiv.pipeline import DivergencePipeline
from softdiv.storage.atomic import sha256_file
from softdiv.storage.manifest import read_manifest, write_manifest

from .conftest import Call


def _rewrite(folder: Path, config: str) -> None:
    """Another config, with its hash: or it would be refused as changed by hand."""
    (folder / "config.toml").write_text(config)
    manifest = read_manifest(folder)
    manifest["config"] = {"config.toml": sha256_file(folder / "config.toml")}
    write_manifest(folder, manifest)


@pytest.fixture
def other(run: Path) -> Path:
    """The same run, evaluated on fewer texts."""
    folder = Path(shutil.copytree(run, run.parent / "two"))
    _rewrite(folder, (folder / "config.toml").read_text().replace("texts = 4", "texts = 3"))
    DivergencePipeline.of_run(folder, force=True).run_stage("evaluate")
    return folder


def test_two_runs_side_by_side(
    run: Path, other: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", run, other) == 0
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.startswith("test texts"))
    assert line.split() == ["test", "texts", "4", "3"]
    assert "\nlexical_jaccard  " in shown
    assert shown.endswith("settings that differ:\n  evaluation.test_texts\n    4\n    3\n")


def test_json(run: Path, other: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", run, other, "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["settings"] == {"evaluation.test_texts": [4, 3]}
    report = json.loads((run / "report.json").read_text())
    assert table["runs"][0]["prompts"] == report["prompts"]
    assert sum(table["runs"][0]["ledger"].values()) == report["ledger"]["total"]
    assert set(table["shared"]) == {p["text"] for p in report["prompts"] + report["baselines"]}


def test_pair_and_cost_are_those_of_the_report(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    config = (run / "config.toml").read_text()
    assert 'name = "tiny"' in config
    _rewrite(run, config.replace('name = "tiny"\n', "", 1))  # as of a pair given by paths
    manifest = read_manifest(run)
    del manifest["stages"]["analyze"]["ledger"]  # run alone, it loads no model
    write_manifest(run, manifest)
    report = json.loads((run / "report.json").read_text())
    assert call("compare", run, run) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["pair", "tiny", "tiny"] in lines
    cost = next(line for line in lines if line[:2] == ["cost", "(FTE)"])
    assert cost[2] == f"{sum(manifest['stages']['evaluate']['ledger'].values()):,}"
    assert report["ledger"]["total"] >= int(cost[2].replace(",", ""))


def test_a_run_with_itself_has_the_same_settings(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", run, run) == 0
    assert "same settings" in capsys.readouterr().out


def test_a_run_that_was_not_evaluated_is_named_with_its_command(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(run)
    del manifest["stages"]["evaluate"]
    write_manifest(run, manifest)
    assert call("compare", run, run) == 5
    assert f"(softdiv evaluate {run})" in capsys.readouterr().err


def test_settings_that_are_secrets_differ_and_are_not_shown(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = ["hf_" + letter * 30 for letter in "ab"]
    folders = [Path(shutil.copytree(run, run.parent / letter)) for letter in "ab"]
    for folder, secret in zip(folders, secrets, strict=True):
        text = (folder / "config.toml").read_text().replace("observers = []", "", 1)
        watched = f'observers = [{{ name = "wandb", project = "{secret}", api_key = 86420975313 }}]'
        _rewrite(folder, f"{watched}\n{text}")
    for options in ((), ("--json",)):
        assert call("compare", *folders, *options) == 0
        shown = capsys.readouterr().out
        assert "observers" in shown and shown.count("(redacted)") == 4
        assert not any(secret in shown for secret in secrets) and "86420975313" not in shown
