"""Did the new checkpoint change behaviour? Known prompts on both, no search.

python examples/compare_two_checkpoints.py OLD NEW

OLD and NEW are folders or hub ids; without them two tiny random models are compared.
"""

from __future__ import annotations

import sys
from typing import Any

from softdiv import DivergencePipeline, ExperimentConfig, HardPrompt
from softdiv.search.generator import SearchResult

PROMPTS = ("Be brief.", "You are a pirate.", "Answer as a doctor would.")


def main(old: str | None = None, new: str | None = None) -> None:
    pair: dict[str, Any] = {"name": "tiny"}
    if old and new:
        pair = {
            "model_1": {"loader": "hf", "path": old},
            "model_2": {"loader": "hf", "path": new},
        }
    config = ExperimentConfig.from_dict(
        {
            "pair": pair,
            "generation": {"max_length": 24},
            "evaluation": {"test_texts": 6, "bootstrap_resamples": 500},
        }
    )
    known = tuple(HardPrompt(text=text, searcher="known") for text in PROMPTS)
    result = DivergencePipeline(config=config, prompts=SearchResult(known, ())).run()
    evaluation = result.report.evaluation
    for prompt in (*evaluation.prompts, *evaluation.baselines):
        bits = prompt.divergence_bits
        print(f"D {bits.value:.3f} [{bits.low:.3f}, {bits.high:.3f}] bits: {prompt.text!r}")
    print(evaluation.verdict.headline)
    print(result.run_dir / "report.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
