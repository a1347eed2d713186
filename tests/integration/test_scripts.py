"""The three scripts in this process: what they refuse, and how they say it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from softdiv.cli.main import main
from softdiv.storage.atomic import read_json

ROOT = Path(__file__).parents[2]
CONFIG = """
num_threads = 1
[pair]
name = "tiny"
[training]
max_steps = 1
engine = { name = "torch" }
[generation]
max_length = 6
[evaluation]
test_texts = 3
response_tokens = 4
bootstrap_resamples = 100
"""


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(command: Any, *arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments, command=command)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(CONFIG)


def test_a_real_pickle_is_refused_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    Path("real.pt").write_bytes(b"\x80\x04.")
    generate = script("generate_hard_prompts").generate
    code = run(generate, "--config", "c.toml", "--checkpoints", "real.pt", "--output-dir", "out")
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (5, 1)
    assert "real.pt is a pickle" in said and "runs whatever code is in it" in said


@pytest.mark.parametrize(
    ("name", "command", "arguments", "message"),
    [
        ("train_divergence_soft_prompts", "train", ["--config", "d.toml"], "did you mean 'c.toml'"),
        (
            "evaluate_hard_prompts",
            "evaluate",
            ["--config", "c.toml", "--prompts-file", "no.pt"],
            "no.pt does not exist",
        ),
        ("train_divergence_soft_prompts", "train", [], "Missing option '--config'"),
    ],
)
def test_mistakes_are_one_line(
    name: str,
    command: str,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = run(getattr(script(name), command), *arguments, "--output-dir", "out")
    said = capsys.readouterr().err
    assert code > 0 and message in said
    assert said.startswith("error: ") and said.count("\n") == 1


def test_prompts_written_by_hand_are_scored_and_other_prompts_are_another_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluate = script("evaluate_hard_prompts").evaluate
    arguments = ("--config", "c.toml", "--prompts-file", "mine.jsonl", "--output-dir", "out")
    Path("mine.jsonl").write_text('{"text": "Tell me about boats."}\n{"text": "Be brief."}\n')
    assert run(evaluate, *arguments, "--quiet") == 0
    report = read_json(Path("out/report.json"))
    assert {p["text"] for p in report["prompts"]} == {"Tell me about boats.", "Be brief."}
    assert report["soft_prompt"]["steps"] == 0
    out = Path.cwd() / "out"
    again = f"softdiv evaluate {out}/hard_prompts.jsonl --config {out}/config.toml"
    again += " --output-dir NEW_DIR"
    assert report["reproduce"] == again
    Path("mine.jsonl").write_text('{"text": "Be long."}\n')
    capsys.readouterr()
    assert run(evaluate, *arguments, "--quiet") == 5
    assert "another configuration" in capsys.readouterr().err
