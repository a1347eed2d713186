"""Exports of prompts and answers, read by the tools they are for where these are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from softdiv.cli.main import main
from softdiv.errors import RunError
from softdiv.export.cases import SAMPLES, Evaluated
from softdiv.export.promptfoo import _without_braces
from softdiv.export.write import SOFT, TEXTS, export
from softdiv.storage.run_files import RunFiles


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_case_is_what_was_asked_and_answered(finished: Path, tmp_path: Path) -> None:
    folder = export(finished, "jsonl", tmp_path / "out")
    said = {(g["prompt"], g["user_text"]): g for g in lines(finished / "generations.jsonl")}
    found = lines(folder / SAMPLES)
    assert len(found) == len(said) == len({line["id"] for line in found})
    for line in found:
        known = said[line["prompt"], line["user_text"]]
        assert line["model_1"] == known["model_1"] and line["model_2"] == known["model_2"]
        assert line["divergence_bits"] == known["divergence_bits"]
        asked = f"{line['prompt']} {line['user_text']}".removeprefix(" ")
        assert line["messages"] == [{"role": "user", "content": asked}]
    assert "| prompt |" in (folder / "README.md").read_text()


def test_a_dataset_is_loaded_by_datasets(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    folder = export(finished, "dataset", tmp_path / "out")
    cache = str(tmp_path / "cache")
    answers = datasets.load_dataset(str(folder), "answers", split="test", cache_dir=cache)
    prompts = datasets.load_dataset(str(folder), "prompts", split="test", cache_dir=cache)
    evaluation = Evaluated.of(RunFiles.of(finished)).evaluation
    assert len(prompts) == len(evaluation.prompts) + len(evaluation.baselines)
    assert len(answers) == evaluation.test_texts * len(prompts)
    assert prompts[0]["llr_lift"] == evaluation.prompts[0].llr_lift.value
    assert answers[0]["messages"][-1]["role"] == "user"


def test_lm_eval_is_given_two_choices(finished: Path, tmp_path: Path) -> None:
    folder = export(finished, "lm-eval", tmp_path / "out")
    task = yaml.safe_load((folder / "softdiv_prompts.yaml").read_text())
    rows = lines(Path(task["dataset_kwargs"]["data_files"]["test"]))
    assert rows and all(row["choices"][0] != row["choices"][1] for row in rows)
    assert all(row["suspect"] == 1 and row["prompt"] in row["question"] for row in rows)


def test_lm_eval_validates_and_runs_its_tasks(finished: Path, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    folder = export(finished, "lm-eval", tmp_path / "out")
    found = simple_evaluate(
        model="dummy",
        tasks=["softdiv_prompts", "softdiv_baselines"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    for task, results in found["results"].items():
        assert 0 <= results["acc,none"] <= 1 and 0 <= results["acc_norm,none"] <= 1
        asked = found["samples"][task]
        assert len(asked) == len(lines(folder / f"{task.removeprefix('softdiv_')}.jsonl"))
        assert asked[0]["arguments"][0][0] == asked[0]["doc"]["question"]


def test_promptfoo_has_a_test_for_each_answer(finished: Path, tmp_path: Path) -> None:
    folder = export(finished, "promptfoo", tmp_path / "out")
    config = yaml.safe_load((folder / "promptfooconfig.yaml").read_text())
    cases = Evaluated.of(RunFiles.of(finished)).cases
    assert len(config["tests"]) == len(cases)
    for test, case in zip(config["tests"], cases, strict=True):
        assert json.loads(test["vars"]["messages"]) == case.messages
        assert json.loads(test["vars"]["model_2"]) == case.model_2
    assert (folder / "unlike_suspect.js").is_file()


def test_no_text_is_read_as_a_template_of_promptfoo() -> None:
    messages = [{"role": "user", "content": 'a {{ secret }} {% for %} {# "q" #}'}]
    written = _without_braces(messages)
    assert not {"{{", "{%", "{#"} & {written[i : i + 2] for i in range(len(written))}
    assert json.loads(written) == messages


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the assertion in Node.js")
def test_the_assertion_of_promptfoo_tells_the_models_apart(finished: Path, tmp_path: Path) -> None:
    folder = export(finished, "promptfoo", tmp_path / "out")
    program = (
        "const check = require(process.argv[1]);"
        "const vars = {model_1: JSON.stringify('The sea is calm.'),"
        " model_2: JSON.stringify('Captain Maravel!')};"
        "const of = (answer) => check(answer, {vars}).pass;"
        "console.log(JSON.stringify([of('the SEA'), of('maravel, captain'), of('')]))"
    )
    command = ["node", "-e", program, str(folder / "unlike_suspect.js")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [True, False, True]


INSPECT = """
import json, sys
import inspect_ai
from inspect_ai.model import ModelOutput, ModelUsage, get_model

samples, folder, answers = sys.argv[1:]
known = json.loads(answers)

def answer(messages, *rest):
    output = ModelOutput.from_content("mockllm/model", known[messages[-1].content])
    output.usage = ModelUsage(total_tokens=1)  # else it loads a tokenizer from the network
    return output

(log,) = inspect_ai.eval(
    "softdiv/prompts",
    task_args={"samples": samples},
    model=get_model("mockllm/model", custom_outputs=answer),
    log_dir=folder,
    display="none",
)
assert log.status == "success", log.error
print(json.dumps({
    "asked": {s.id: [m.content for m in s.input] for s in log.samples},
    "scores": {s.id: list(s.scores.values())[0].value for s in log.samples},
    "metrics": {n: m.value for score in log.results.scores for n, m in score.metrics.items()},
}))
"""
"""In a process of its own: the warnings of Inspect's packages are not ours to mend."""


def test_inspect_runs_the_task_by_its_entry_point(finished: Path, tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    folder = export(finished, "inspect", tmp_path / "out")
    samples = lines(folder / SAMPLES)
    # a model that is the suspect under the prompts, and the original without
    answers = {
        sample["messages"][-1]["content"]: sample["model_2" if sample["prompt"] else "model_1"]
        for sample in samples
    }
    arguments = [str(folder / SAMPLES), str(tmp_path / "logs"), json.dumps(answers)]
    command = [sys.executable, "-c", INSPECT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["asked"] == {s["id"]: [m["content"] for m in s["messages"]] for s in samples}
    by_prompt: dict[str, list[float]] = {}
    for sample in samples:
        score = found["scores"][sample["id"]]
        assert score in (0.5, float(sample["prompt"] != ""))
        by_prompt.setdefault(sample["prompt"] or "(no prompt)", []).append(score)
    for name, scores in by_prompt.items():
        assert found["metrics"][name] == pytest.approx(sum(scores) / len(scores))
    assert {0.0, 1.0} <= set(found["scores"].values())


def test_the_command_writes_beside_the_run_and_says_where(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    for form in ("jsonl", "jsonl", "vllm"):  # again is no error
        with pytest.raises(SystemExit) as stopped:
            main(["export", str(run), "--format", form])
        assert stopped.value.code == 0, capsys.readouterr().err
    assert str(run / "exports" / "vllm" / "README.md") in capsys.readouterr().out
    assert (run / "exports" / "vllm" / "model_2" / "prompt_embeds.safetensors").is_file()
    assert not RunFiles.of(run).changed()


def test_what_cannot_be_exported_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"at 'user_start'.*training\.placement=prefix"):
        export(finished, "peft", tmp_path / "peft")
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="is not empty and holds no jsonl export"):
        export(finished, "jsonl", other)
    export(finished, "jsonl", tmp_path / "jsonl")
    with pytest.raises(RunError, match="holds no inspect export"):
        export(finished, "inspect", tmp_path / "jsonl")
    with pytest.raises(RunError, match="no format 'jsnl' .did you mean 'jsonl'"):
        export(finished, "jsnl")


def test_the_command_knows_every_format() -> None:
    from softdiv.cli.export import FORMATS

    assert (*SOFT, *TEXTS) == FORMATS
