"""Run the whole pipeline from Python and read the result as objects.

python examples/compare_two_models.py [CONFIG] [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from softdiv import DivergencePipeline, ExperimentConfig

ROOT = Path(__file__).resolve().parents[1]


def main(config: str = str(ROOT / "configs" / "smoke.toml"), folder: str | None = None) -> None:
    experiment = ExperimentConfig.from_file(config)
    result = DivergencePipeline(config=experiment, run_dir=Path(folder) if folder else None).run()
    evaluation = result.report.evaluation
    print(evaluation.verdict.outcome)
    for prompt in (*evaluation.prompts, *evaluation.baselines):
        bits = prompt.divergence_bits
        interval = f"{bits.value:.3f} [{bits.low:.3f}, {bits.high:.3f}]"
        print(f"{prompt.searcher:15} D {interval} {prompt.text!r}")
    print(result.run_dir / "report.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
