"""Group what a run found, draw where both models look, and write the analysis to files.

python examples/custom_analysis.py [CONFIG] [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from softdiv import DivergenceAnalyzer, DivergencePipeline, ExperimentConfig

ROOT = Path(__file__).resolve().parents[1]


def main(config: str = str(ROOT / "configs" / "smoke.toml"), folder: str = "analysed") -> None:
    pipeline = DivergencePipeline(
        config=ExperimentConfig.from_file(config), run_dir=Path(folder, "run")
    )
    dataset = pipeline.run()["dataset"]
    analyzer = DivergenceAnalyzer(metrics=pipeline.trainer.metrics, output_dir=Path(folder))
    report = analyzer.generate_report(dataset)
    for section in report.sections:
        print(f"{section.title}: {section.summary}")

    patterns = analyzer.analyze_divergence_patterns(
        dataset, clustering_config={"n_clusters": 3, "method": "kmeans"}
    )
    for cluster in patterns.clusters:
        typical = patterns.findings[cluster.typical]
        print(f"cluster of {len(cluster.members)}, {cluster.name}: {typical.response_2!r}")

    pair = pipeline.trainer.pair
    ids = pair.tokenizer(f"{dataset[0].prompt} {dataset[0].example.text}")["input_ids"]
    outputs = {"model_1": pair.model_1.attentions(ids), "model_2": pair.model_2.attentions(ids)}
    analyzer.visualize_attention_patterns(outputs, save_path=Path(folder, "attention.png"))
    print(Path(folder, "attention.png"))


if __name__ == "__main__":
    main(*sys.argv[1:])
