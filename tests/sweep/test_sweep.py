"""Five checkpoints of a tiny training: one table, one plot, killed and continued."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.cli.main import main
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.storage.run_files import RunFiles

STEPS = (1, 2, 4, 8, 16)
SETTINGS = (
    "plugins=[]",
    'evaluation.metrics=["jsd"]',
    "evaluation.bootstrap_resamples=100",
    "training.max_steps=1",
    'training.engine={ name = "torch" }',
    'generation.searchers=[{ name = "amplified", words = 2, user_turns = 1, answer_tokens = 4 }]',
    'generation.baselines=["empty"]',
    "generation.budget_fte=3000",
    "generation.num_prompts=1",
    "analysis.analyzers=[]",
)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as it is while it learns to say one sentence."""
    folder = tmp_path_factory.mktemp("checkpoints")
    model, tokenizer = TinyLoader().load("cpu")
    row = torch.tensor([tokenizer("The bells of Tarnmoor ring at dusk.")["input_ids"]])
    for part in (model, tokenizer):
        part.save_pretrained(folder / "base")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for step in range(1, STEPS[-1] + 1):
        model(input_ids=row, labels=row).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step in STEPS:
            for part in (model, tokenizer):
                part.save_pretrained(folder / f"step-{step}")
    return folder


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(ExperimentConfig.from_file(config_path("smoke"), SETTINGS).to_toml())
    return path


def command(config: Path, checkpoints: Path, steps: tuple[int, ...], folder: Path) -> list[str]:
    series = ",".join(str(checkpoints / f"step-{step}") for step in steps)
    models = ["--model-1", str(checkpoints / "base"), "--model-2", str(checkpoints / "base")]
    over = ["--over", f"pair.model_2.path={series}"]
    return ["sweep", str(config), *models, *over, "--output-dir", str(folder), "--quiet"]


def called(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0


def finished(folder: Path) -> list[Path]:
    """Reports of runs that are marked finished."""
    runs = (path.parent for path in sorted(folder.glob("*/**/manifest.json")))
    return [run / "report.json" for run in runs if RunFiles.of(run).done("report")]


def written(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "sweep.json").read_text(encoding="utf-8"))


def test_killed_and_continued_its_numbers_are_what_they_would_have_been(
    checkpoints: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "killed"
    arguments = command(config, checkpoints, STEPS, folder)
    child = subprocess.Popen(
        [sys.executable, "-m", "softdiv", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 200
    while len(finished(folder)) < 2 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in finished(folder)}
    assert 2 <= len(kept) < 2 * len(STEPS)
    assert not (folder / "sweep.json").exists()

    called(arguments)
    said = capsys.readouterr()
    assert said.err.count("(had finished)") == len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(finished(folder)) == 2 * len(STEPS)

    table = written(folder)
    assert [row["place"] for row in table["rows"]] == list(STEPS) and table["numbered"]
    prompts = [score["prompt"] for score in table["rows"][0]["scores"]]
    assert prompts[0] == "" and len(prompts) == len(set(prompts)) > 1
    for row in table["rows"]:
        assert [score["prompt"] for score in row["scores"]] == prompts
        own = row["best"]
        same = row["scores"][prompts.index(own["prompt"])]
        # the member's own search scored it on the same texts, in other batches: float32 rounds
        # otherwise there on some processors, 1e-8 bits seen
        bits = own["divergence_bits"]["value"]
        assert same["divergence_bits"]["value"] == pytest.approx(bits, abs=1e-7)
    drift = [row["scores"][0]["divergence_bits"]["value"] for row in table["rows"]]
    assert drift[0] < drift[2] < drift[-1]  # it went on learning
    with (folder / "sweep.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(STEPS) * len(prompts)
    assert [float(line["D, bits"]) for line in lines if not line["prompt"]] == drift
    plot = (folder / "sweep.svg").read_text(encoding="utf-8")
    assert "Divergence" in plot and "Lift" in plot and "(no prompt)" in plot
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert all(name in said.out for name in (row["name"] for row in table["rows"]))

    # as if nothing had been killed: the same prompts on the first and the last
    known, fresh = tmp_path / "known.jsonl", tmp_path / "fresh"
    known.write_text("".join(json.dumps({"text": text}) + "\n" for text in prompts[1:]))
    ends = (STEPS[0], STEPS[-1])
    called([*command(config, checkpoints, ends, fresh), "--prompts", str(known)])
    again = [row["scores"] for row in written(fresh)["rows"]]
    assert again == [table["rows"][0]["scores"], table["rows"][-1]["scores"]]


def test_a_longer_series_keeps_what_was_searched(
    checkpoints: Path, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    called(command(config, checkpoints, (16,), folder))
    kept = {path: path.stat().st_mtime_ns for path in finished(folder)}
    called(command(config, checkpoints, (8, 16), folder))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [row["place"] for row in written(folder)["rows"]] == [8, 16]


def test_known_prompts_are_scored_without_a_search(
    checkpoints: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known.jsonl"
    known.write_text('{"text": "Ring the bells."}\n')
    folder = tmp_path / "sweep"
    called([*command(config, checkpoints, (1, 16), folder), "--prompts", str(known), "--json"])
    table = json.loads(capsys.readouterr().out)
    assert not (folder / "search").exists()
    assert [s["prompt"] for s in table["rows"][0]["scores"]] == ["", "Ring the bells."]
    assert all(row["verdict"] is None for row in table["rows"])


def test_a_member_that_is_the_original_has_no_difference(
    checkpoints: Path, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    arguments = command(config, checkpoints, (16,), folder)
    over = arguments.index("--over") + 1
    arguments[over] = arguments[over].replace("=", f"={checkpoints / 'base'},")
    called(arguments)
    base, last = written(folder)["rows"]
    assert base["verdict"] == "no difference found" and base["best"] is None
    assert all(score["divergence_bits"]["value"] == 0 for score in base["scores"])
    assert last["scores"][0]["divergence_bits"]["value"] > 0
    assert len(base["scores"]) == len(last["scores"])
