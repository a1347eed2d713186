"""A whole run on two models that share neither tokenizer nor width."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.cli.main import main
from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError, PairError, RunError
from softdiv.pair.manager import ModelPairManager
from softdiv.pipeline import DivergencePipeline, PipelineResult

ONE = {"vocab_size": 512}
TWO = {"vocab_size": 700, "hidden_size": 48, "architecture": "qwen2", "seed": 3, "scale": 0.3}
TABLE: dict[str, Any] = {
    "num_threads": 1,
    "pair": {
        "by": "text",
        "model_1": {"loader": "tiny", **ONE},
        "model_2": {"loader": "tiny", **TWO},
    },
    "generation": {
        "max_length": 12,
        "budget_fte": 40_000,
        "searchers": [
            {"name": "ensemble"},
            {"name": "ppl_gap", "continuations": 12, "tokens": 6},
            {"name": "gcg"},
        ],
        "baselines": [
            {"name": "empty"},
            {"name": "natural_pool", "most": 6},
            {"name": "random_tokens", "most": 4},
            {"name": "template_leak", "turns": 8, "tokens": 6},
        ],
    },
    "evaluation": {
        "test_texts": 5,
        "response_tokens": 8,
        "bootstrap_resamples": 100,
        "metrics": [{"name": "jsd"}, {"name": "chrf"}],
    },
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> PipelineResult:
    folder = tmp_path_factory.mktemp("by-text") / "run"
    config = ExperimentConfig.from_dict(TABLE)
    return DivergencePipeline(config=config, run_dir=folder).run()


def log_likelihood(
    model: Any, tokenizer: Any, asked: list[Any], answer: str, closed: bool
) -> float:
    """By transformers alone."""
    head = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    own = tokenizer(answer, add_special_tokens=False)["input_ids"]
    own += [tokenizer.eos_token_id] if closed else []
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([head + own])).logits[0]
    logs = logits.double().log_softmax(-1)
    return sum(float(logs[len(head) - 1 + n, token]) for n, token in enumerate(own))


def test_the_ratio_is_that_of_an_independent_computation(result: PipelineResult) -> None:
    report = json.loads((result.run_dir / "report.json").read_text())
    loaded = [TinyLoader(**options).load("cpu") for options in (ONE, TWO)]
    seen = 0
    for prompt in (*report["prompts"], *report["baselines"]):
        ratios = []
        for answer in prompt["answers"]:
            text = " ".join(filter(None, (prompt["text"], answer["user_text"])))
            scored = answer["model_2_counted"], answer["model_2_end_counted"]
            asked = [{"role": "user", "content": text}]
            one, two = (log_likelihood(*each, asked, *scored) for each in loaded)
            ratios.append(two - one)
            assert answer["log_likelihood_ratio"] == pytest.approx(two - one, abs=1e-4)
            size = len(scored[0].encode()) + scored[1]
            seen += bool(size)
        assert prompt["llr"]["value"] == pytest.approx(sum(ratios) / len(ratios), abs=1e-4)
    assert seen > 20


def test_what_is_undefined_is_left_out_and_said(result: PipelineResult) -> None:
    report = json.loads((result.run_dir / "report.json").read_text())
    for prompt in (*report["prompts"], *report["baselines"]):
        assert prompt["divergence_bits"] == {"value": None, "low": None, "high": None}
        assert prompt["retention"] is None and prompt["search_bits"] is None
        assert "jsd" not in prompt["metrics"] and "chrf" in prompt["metrics"]
        assert all(a["divergence_bits"] is None for a in prompt["answers"])
        assert math.isfinite(prompt["metrics"]["llr_per_byte"])
        assert math.isfinite(prompt["metrics"]["llr_of_model_1_answers"])
    notes = "\n".join(report["warnings"])
    for words in (
        "searcher 'gcg' was left out",
        "ensemble: amplified",
        "metrics left out, of tokens both models know: jsd",
        "analyzer 'token_disagreements' was left out",
        "no soft prompt was trained",
    ):
        assert words in notes
    assert "D and every other measure" in report["verdict"]["caveats"][0]
    assert report["verdict"]["rule"].count("nats per answer") == 1
    assert [s["title"] for s in report["sections"]] == [
        "Semantic differences",
        "Behavioural clusters",
    ]
    assert all("left out: " in line for line in report["failures"])


def test_searchers_that_need_texts_alone_are_run(result: PipelineResult) -> None:
    evaluation = result.report.evaluation
    assert {p.searcher for p in evaluation.prompts} <= {"ensemble", "ppl_gap"}
    assert evaluation.prompts
    assert {b.searcher for b in evaluation.baselines} == {
        "empty", "natural_pool", "random_tokens", "template_leak",
    }  # fmt: skip


def test_a_finished_run_is_read_back_without_models(
    result: PipelineResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: object, device: str) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(TinyLoader, "load", never)
    again = DivergencePipeline.of_run(result.run_dir).run()
    assert [f.written for f in again.dataset] == [f.written for f in result.dataset]
    html = (result.run_dir / "report.html").read_text()
    assert "nan" not in html.lower().replace("nanometre", "")


def test_what_needs_shared_tokens_refuses_such_a_run(result: PipelineResult) -> None:
    pipeline = DivergencePipeline.of_run(result.run_dir)
    pipeline.run()
    with pytest.raises(RunError, match="no soft prompt"):
        _ = pipeline.trainer
    with pytest.raises(PairError, match="compared by text"):
        ModelPairManager(ExperimentConfig.from_dict(TABLE).pair).load()


def test_without_it_the_pair_is_refused_and_told_how() -> None:
    config = ExperimentConfig.from_dict(TABLE).with_overrides("pair.by=tokens")
    with pytest.raises(PairError, match=r"pair\.by = \"text\""):
        ModelPairManager(config.pair).load()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("pair.template_of=model_2", "pair.template_of"),
        ("training.placement=prefix", "not before the template"),
        ("pair.template_arguments={enable_thinking=false}", "no model's chat template uses"),
    ],
)
def test_settings_that_both_would_share_are_refused(
    setting: str, words: str, tmp_path: Path
) -> None:
    config = ExperimentConfig.from_dict(TABLE).with_overrides(setting)
    with pytest.raises(ConfigError, match=words):
        DivergencePipeline(config=config, run_dir=tmp_path / "run").run()


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        DivergencePipeline(config=ExperimentConfig.from_dict(TABLE), run_dir=tmp_path / "r").run()


def test_known_prompts_are_evaluated_and_gated(tmp_path: Path) -> None:
    config = tmp_path / "pair.toml"
    config.write_text(ExperimentConfig.from_dict(TABLE).to_toml())
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"text": "Say it in French."}\n')
    command = ["evaluate", str(prompts), "--config", str(config), "--fail-over"]
    folder = ["--output-dir", str(tmp_path / "run")]
    for gate in ("llr=-1000", "jsd=1"):  # D is no number here: it passes no gate
        for where in ([], folder):
            with pytest.raises(SystemExit) as ended:
                main([*command, gate, *where])
            assert ended.value.code == 7
    with pytest.raises(SystemExit) as ended:
        main([*command, "llr=1000", *folder])
    assert ended.value.code == 0


def test_what_was_asked_and_answered_can_be_exported(
    result: PipelineResult, tmp_path: Path
) -> None:
    for number, (kind, code) in enumerate({"jsonl": 0, "dataset": 0, "peft": 5}.items()):
        with pytest.raises(SystemExit) as ended:
            where = ["--output-dir", str(tmp_path / kind)]
            main(["export", str(result.run_dir), "--format", kind, *where])
        assert ended.value.code == code, number
    lines = (tmp_path / "jsonl" / "samples.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["divergence_bits"] is None


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (["run", "--dry-run"], []),
        (["pairs", "check", "--config"], []),
        (["sweep"], ["--over", "pair.model_2.seed=3,4", "--output-dir", "s"]),
        (["calibrate"], ["--output-dir", "c"]),
    ],
)
def test_commands_that_need_shared_tokens_say_so(
    command: list[str],
    more: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pair.toml").write_text(ExperimentConfig.from_dict(TABLE).to_toml())
    with pytest.raises(SystemExit) as ended:
        main([*command, "pair.toml", *more])
    assert ended.value.code in (2, 4)
    said = capsys.readouterr().err
    assert "by text" in said or "share their tokens" in said
    assert "Traceback" not in said


def test_the_report_has_no_empty_column_of_what_is_undefined(result: PipelineResult) -> None:
    text = (result.run_dir / "report.md").read_text()
    head = next(line for line in text.splitlines() if line.startswith("| prompt | from"))
    assert "D, bits" not in head and "retention" not in head
    assert "ratio, nats" in head and "lift, nats" in head
