"""What won and what lost: soft prompt, found prompts and every baseline on each pair.

    python benchmarks/demo_pair.py [--pairs smollm2-vs-seafarer,smollm2-vs-int4] [--seeds 0,1,2]

Runs the quickstart config on every pair and seed, prints one row per prompt, and writes
``benchmarks/results/demo_pair.json``. A baseline never spends more than the searchers did.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.evaluation.results import PromptResult
from softdiv.pipeline import DivergencePipeline
from softdiv.storage.atomic import write_json
from softdiv.storage.run import machine_facts

RESULTS = Path(__file__).parent / "results" / "demo_pair.json"
PAIRS = "smollm2-vs-seafarer,smollm2-vs-int8,smollm2-vs-int4,smollm2-vs-itself"


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", default=PAIRS)
    parser.add_argument("--seeds", default="0")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    summary: dict[str, float] = {}
    pairs = options.pairs.split(",")
    for pair in pairs:
        lifts, successes = [], 0
        for seed in map(int, options.seeds.split(",")):
            config = ExperimentConfig.from_file(
                config_path("quickstart"), [f'pair={{ name = "{pair}" }}', f"seed={seed}"]
            )
            with tempfile.TemporaryDirectory() as folder:
                report = (
                    DivergencePipeline(config=config, run_dir=Path(folder) / "run").run().report
                )
            evaluation, seconds = report.evaluation, sum(report.seconds.values())
            found = [*evaluation.prompts, *evaluation.baselines]
            new = [row(pair, seed, prompt) for prompt in found]
            rows += new
            soft = evaluation.soft_bits.value if evaluation.soft_bits else 0.0
            outcome = evaluation.verdict.outcome
            print(f"\n{pair} seed {seed}: {outcome}; soft D {soft:.3f}; {seconds:.0f} s")
            for r in new:
                print(
                    f"  {r['searcher']!s:15} D {r['bits']:.3f} [{r['bits_low']:.3f}, "
                    f"{r['bits_high']:.3f}]  lift {r['llr_lift']:6.1f}  rates {r['rate_1']} "
                    f"{r['rate_2']}  {r['cost_fte']:>7} FTE  {r['text']!r}"
                )
            lifts.append(max((p.llr_lift.value for p in evaluation.prompts), default=0.0))
            successes += any(exposes(p) for p in evaluation.prompts)
            key = f"{pair}.seed{seed}"
            summary |= {f"{key}.soft_bits": soft, f"{key}.seconds": seconds}
        summary[f"{pair}.median_best_lift"] = statistics.median(lifts)
        summary[f"{pair}.seeds_exposed"] = successes
    settings = {"pairs": pairs, "seeds": options.seeds, "config": "configs/quickstart.toml"}
    write_json(
        RESULTS,
        {"machine": machine_facts(), "settings": settings, "summary": summary, "rows": rows},
    )
    print(f"\n{RESULTS}")


if __name__ == "__main__":
    main()
