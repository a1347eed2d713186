"""How much does rounding the weights change a model's answers? int8 beside int4, with a gate.

python examples/quantisation_check.py MODEL

MODEL is a folder or a hub id; without it a tiny random model is made and rounded. Exits with 1
when int8 drifts by more than 0.01 bit.
"""

from __future__ import annotations

import sys

from softdiv import DivergencePipeline, ExperimentConfig, HardPrompt
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.search.generator import SearchResult

LIMIT = 0.01
"""bits of D on plain user texts"""


def drift(model: str, quantize: str) -> float:
    """Mean JSD in bits between a model and the same model rounded, without any prompt."""
    config = ExperimentConfig.from_dict(
        {
            "pair": {
                "model_1": {"loader": "hf", "path": model},
                "model_2": {"loader": "hf", "path": model, "quantize": quantize},
            },
            "generation": {"max_length": 24},
            "evaluation": {"test_texts": 8, "bootstrap_resamples": 500},
        }
    )
    plain = SearchResult((HardPrompt(text="Be brief.", searcher="known"),), ())
    result = DivergencePipeline(config=config, prompts=plain).run()
    (empty,) = result.report.evaluation.baselines
    return empty.divergence_bits.value


def main(model: str = "") -> int:
    if not model:
        model = "tiny-model"
        made, tokenizer = TinyLoader(seed=0).load("cpu")
        made.save_pretrained(model)
        tokenizer.save_pretrained(model)
    for quantize in ("int8", "int4"):
        print(f"{quantize}: D {drift(model, quantize):.5f} bits")
    return int(drift(model, "int8") > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
