"""Two tasks for EleutherAI's lm-evaluation-harness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softdiv.errors import RunError
from softdiv.export.card import to_yaml
from softdiv.export.cases import Case, Evaluated
from softdiv.storage.atomic import write_json_lines, write_text


def lm_eval(run: Evaluated, folder: Path) -> str:
    """Two tasks of two choices each: whose recorded answer does a model find likelier?"""
    cases = [case for case in run.chats if _is_question(case)]
    if not cases:
        raise RunError(
            f"run {run.files.path} has nothing that lm-eval can ask",
            why="each text has messages before it or a system prompt, or both answers are alike",
            fix="export inspect, or run it without data.system_prompt",
        )
    tasks = []
    for kind in ("prompts", "baselines"):
        rows = [_choices(case) for case in cases if case.baseline == (kind == "baselines")]
        if not rows:
            continue
        task = f"softdiv_{kind}"
        data = folder / f"{kind}.jsonl"
        write_json_lines(data, rows)
        write_text(folder / f"{task}.yaml", to_yaml(_lm_eval_task(task, data.absolute())))
        tasks.append(task)
    left_out = len(run.cases) - len(cases)
    note = f"\n\nLeft out: {left_out} answers (see `docs/export.md`)." if left_out else ""
    return (
        f"    lm_eval --include_path {folder} --tasks {','.join(tasks)} --apply_chat_template \\\n"
        "        --model hf --model_args pretrained=MODEL\n\n"
        "Each question has two choices, what model_1 said and what model_2 said. `acc` is the "
        "share of texts on which MODEL finds model_2's answer likelier, `acc_norm` the same per "
        "byte. Both belong beside those of model_1 and model_2 themselves. The YAML files name "
        f"their data by its place: export again after moving them.{note}"
    )


def _is_question(case: Case) -> bool:
    """lm-eval asks one user message and scores one of two different answers."""
    alone = [message["role"] for message in case.messages] == ["user"]
    return alone and bool(case.model_1 and case.model_2) and case.model_1 != case.model_2


def _choices(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "prompt": case.prompt,
        "question": case.messages[0]["content"],
        "choices": [case.model_1, case.model_2],
        "suspect": 1,
    }


def _lm_eval_task(task: str, data: Path) -> dict[str, Any]:
    means = {"aggregation": "mean", "higher_is_better": True}
    return {
        "task": task,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "question",
        "doc_to_choice": "choices",
        "doc_to_target": "suspect",
        "target_delimiter": "",
        "metric_list": [{"metric": name, **means} for name in ("acc", "acc_norm")],
        "metadata": {"version": 1},
    }
