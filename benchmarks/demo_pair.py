"""What won and what lost: soft prompt, found prompts and every baseline on each pair.

    python benchmarks/demo_pair.py [--runs smollm2-vs-seafarer:0,smollm2-vs-int4:0]

Runs a wider search than the demo's (WIDER, below) on every pair and seed given, prints one row per
prompt, and writes ``benchmarks/results/demo_pair.json``. A baseline never spends more than the
searchers did.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from result_file import write_result

from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.evaluation.results import PromptResult
from softdiv.pipeline import DivergencePipeline

RUNS = (
    "smollm2-vs-seafarer:0,smollm2-vs-seafarer:1,smollm2-vs-seafarer:2,smollm2-vs-juniper:0,"
    "smollm2-vs-selfsame:0,smollm2-vs-int4:0,smollm2-vs-int8:0,smollm2-vs-itself:0"
)


WIDER = (
    "training.max_steps=15",
    "training.validate_every=8",
    'generation.searchers=[{ name = "amplified", words = 10, user_turns = 8 }, '
    '{ name = "soft_answers", words = 10 }, '
    '{ name = "gradient_swaps", steps = 2, candidates = 8 }]',
    "generation.num_prompts=3",
    'generation.baselines=["empty", "natural_pool", "random_tokens"]',
    "evaluation.test_texts=12",
)
"""The demo has five minutes; this has not."""


def row(pair: str, seed: int, prompt: PromptResult) -> dict[str, object]:
    return {
        "pair": pair,
        "seed": seed,
        "searcher": prompt.searcher,
        "baseline": prompt.is_baseline,
        "text": prompt.text,
        "bits": prompt.divergence_bits.value,
        "bits_low": prompt.divergence_bits.low,
        "bits_high": prompt.divergence_bits.high,
        "llr_lift": prompt.llr_lift.value,
        "llr_lift_low": prompt.llr_lift.low,
        "rate_1": prompt.detector_rate_1,
        "rate_2": prompt.detector_rate_2,
        "perplexity": prompt.perplexity,
        "cost_fte": prompt.cost_fte,
    }


def exposes(prompt: PromptResult) -> bool:
    rate_1, rate_2 = prompt.detector_rate_1, prompt.detector_rate_2
    return rate_1 is not None and rate_2 is not None and rate_2 >= 0.5 and rate_1 <= 0.1


def one(pair: str, seed: int) -> tuple[list[dict[str, object]], dict[str, float]]:
    config = ExperimentConfig.from_file(
        config_path("quickstart"), [f'pair={{ name = "{pair}" }}', f"seed={seed}", *WIDER]
    )
    with tempfile.TemporaryDirectory() as folder:
        report = DivergencePipeline(config=config, run_dir=Path(folder) / "run").run().report
    evaluation, seconds = report.evaluation, sum(report.seconds.values())
    rows = [row(pair, seed, prompt) for prompt in (*evaluation.prompts, *evaluation.baselines)]
    soft = evaluation.soft_bits.value if evaluation.soft_bits else 0.0
    outcome = evaluation.verdict.outcome
    print(f"\n{pair} seed {seed}: {outcome}; soft D {soft:.3f}; {seconds:.0f} s")
    for r in rows:
        print(
            f"  {r['searcher']!s:15} D {r['bits']:.3f} [{r['bits_low']:.3f}, {r['bits_high']:.3f}]"
            f"  lift {r['llr_lift']:6.1f}  rates {r['rate_1']} {r['rate_2']}"
            f"  {r['cost_fte']:>7} FTE  {r['text']!r}",
            flush=True,
        )
    key = f"{pair}.seed{seed}"
    best = max((p.llr_lift.value for p in evaluation.prompts), default=0.0)
    return rows, {
        f"{key}.soft_bits": soft,
        f"{key}.seconds": seconds,
        f"{key}.best_lift": best,
        f"{key}.difference_found": float(outcome == "difference found"),
        f"{key}.exposed": float(any(exposes(p) for p in evaluation.prompts)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", default=RUNS, help="PAIR:SEED, comma separated")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    summary: dict[str, float] = {}
    done: list[str] = []
    for run in options.runs.split(","):
        pair, _, seed = run.partition(":")
        new, facts = one(pair, int(seed or 0))
        rows += new
        summary |= facts
        done.append(run)
        config = ExperimentConfig.from_file(config_path("quickstart"), WIDER).to_dict()
        settings = {"runs": done, "config": config}
        # after every run, so that an interrupted benchmark keeps what it has measured
        written = write_result("demo_pair", settings=settings, summary=summary, rows=rows)
    print(f"\n{written}")


if __name__ == "__main__":
    main()
