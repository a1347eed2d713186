"""A run of a tiny pair in which everything samples: its figures, and how they are compared.

    python tests/stages/tiny_run.py FOLDER [KEY=VALUE ...]

makes such a run and writes FOLDER.json; under torchrun on every rank alike.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from softdiv import DivergenceMetrics
from softdiv.config.load import ExperimentConfig
from softdiv.pipeline import DivergencePipeline, PipelineResult
from softdiv.plugin.records import ResponsePair
from softdiv.storage.atomic import write_json

TABLE: dict[str, Any] = {
    "num_threads": 1,
    "pair": {"name": "tiny"},
    "training": {
        "num_soft_prompt_tokens": 4,
        "batch_size": 2,
        "max_steps": 4,
        "validate_every": 2,
        "validation_texts": 4,
        "response_tokens": 4,
    },
    "generation": {
        "max_length": 8,
        "num_generations_per_prompt": 4,
        "budget_fte": 90_000,
        "batch_rows": 24,
        "num_prompts": 3,
        "searchers": [
            {"name": "amplified", "words": 4, "user_turns": 3, "answer_tokens": 6},
            {"name": "ppl_gap", "continuations": 40, "share": 0.05, "phrases": 4},
            {"name": "verbalise", "rounds": 1, "steps": 2},
            {"name": "soft_targets", "words": 6, "extended": [2], "continuations": [3]},
            {"name": "gradient_swaps", "steps": 1, "candidates": 3, "texts": 2},
        ],
        "baselines": [
            {"name": "empty"},
            {"name": "natural_pool", "most": 12},
            {"name": "gcg", "candidates": 6, "texts": 2, "patience": 1},
        ],
    },
    "evaluation": {
        "test_texts": 6,
        "response_tokens": 6,
        "bootstrap_resamples": 100,
        "metrics": [{"name": "jsd"}, {"name": "kl_2_1"}],
    },
}


class Resampled:
    """Letters by which a second answer of each model is longer; asks for two."""

    level: ClassVar[str] = "response"
    resamples: ClassVar[int] = 2

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        return [float(len("".join(p.again_2)) - len("".join(p.again_1))) for p in pairs]


def tiny_run(folder: Path, *overrides: str) -> PipelineResult:
    config = ExperimentConfig.from_dict(TABLE).with_overrides(*overrides)
    metrics = DivergenceMetrics(metrics={"resampled": Resampled()})
    return DivergencePipeline(config=config, run_dir=folder, metrics=metrics).run()


def figures_of(result: PipelineResult) -> dict[str, Any]:
    """What must not depend on who computed it: texts, numbers, and the ledger."""
    evaluation = result.report.evaluation
    return {
        "ledger": dict(result.report.ledger),
        "prompts": [
            {
                "text": prompt.text,
                "searcher": prompt.searcher,
                "cost_fte": prompt.cost_fte,
                "bits": prompt.divergence_bits.value,
                "llr": prompt.llr.value,
                "perplexity": prompt.perplexity,
                "retention": prompt.retention,
                "search_bits": prompt.search_bits,
                "metrics": dict(prompt.metrics),
                "answers": [[f.response_1, f.response_2] for f in prompt.findings],
            }
            for prompt in (*evaluation.prompts, *evaluation.baselines)
        ],
    }


def differences(
    found: Any, wanted: Any, where: str = "", tolerance: float = 1e-5, cost: float = 0.0
) -> Iterator[str]:
    """Places at which two figures differ: texts at all, numbers beyond 1e-5, costs (whole numbers)
    beyond a share of them."""
    if isinstance(wanted, dict) and isinstance(found, dict) and set(wanted) == set(found):
        for key in wanted:
            yield from differences(found[key], wanted[key], f"{where}.{key}", tolerance, cost)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for n, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from differences(one, other, f"{where}[{n}]", tolerance, cost)
    elif isinstance(wanted, float) and isinstance(found, float):
        if found != pytest.approx(wanted, abs=tolerance, rel=tolerance):
            yield f"{where}: {found!r}, expected {wanted!r}"
    elif isinstance(wanted, int) and isinstance(found, int):
        if abs(found - wanted) > cost * wanted:
            yield f"{where}: {found!r}, expected {wanted!r}"
    elif found != wanted:
        yield f"{where}: {found!r}, expected {wanted!r}"


def main(folder: Path, *overrides: str) -> None:
    result = tiny_run(folder, *overrides)  # the other ranks end here
    write_json(folder.with_suffix(".json"), figures_of(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
