"""Do the behavioural clusters separate planted from ordinary answers?

    python benchmarks/clusters.py [--run FOLDER]... [--pair smollm2-vs-seafarer] [--seed 0]

Labels are the organism's detector on model_2's answers; the clusters never see it. Reads the
answers of finished runs' folders, or runs the quickstart config first. Prints the adjusted Rand
index (1 the same partition, 0 what chance would give) for every method and embedding, and writes
``benchmarks/results/clusters.json``.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path
from typing import get_args

from result_file import write_result
from sklearn.metrics import adjusted_rand_score, homogeneity_score

from softdiv.analysis.clusters import Method, cluster_findings
from softdiv.analysis.embedding import Embed, each_alone, tfidf
from softdiv.builtin.embedding import embed
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.evaluation.detector import load_detector
from softdiv.pipeline import DivergencePipeline
from softdiv.plugin.records import Example, Finding
from softdiv.storage.atomic import read_json_lines

EMBEDDINGS: dict[str, Embed] = {"tfidf": tfidf, "sentence-transformers": each_alone(embed)}


def findings_of(run: Path) -> list[Finding]:
    return [
        Finding(
            prompt=answer["prompt"],
            example=Example(id=answer["user_text"], text=answer["user_text"]),
            response_1=answer["model_1"],
            response_2=answer["model_2"],
            divergence_bits=answer["divergence_bits"],
            log_likelihood_ratio=answer["log_likelihood_ratio"],
        )
        for answer in read_json_lines(run / "generations.jsonl")
    ]


def measure(findings: list[Finding], detector: re.Pattern[str]) -> list[dict[str, object]]:
    rows = []
    settings: list[tuple[Method, int | None]] = [
        *((method, None) for method in get_args(Method)),
        ("kmeans", 2),
        ("agglomerative", 2),
    ]
    for name, embedding in EMBEDDINGS.items():
        for method, number in settings:
            start = time.perf_counter()
            made = cluster_findings(findings, method=method, n_clusters=number, embed=embedding)
            seconds = time.perf_counter() - start
            planted = [bool(detector.search(f.response_2)) for f in made.findings]
            rows.append(
                {
                    "embedding": name,
                    "method": method,
                    "n_clusters": number or "chosen",
                    "clusters": len(made.clusters),
                    "answers": len(planted),
                    "planted": sum(planted),
                    "adjusted_rand_index": float(adjusted_rand_score(planted, made.labels)),
                    # 1 where no cluster mixes planted and ordinary answers, however many there are
                    "homogeneity": float(homogeneity_score(planted, made.labels)),
                    "silhouette": made.silhouette,
                    "names": [cluster.name for cluster in made.clusters],
                    "stability": [cluster.stability for cluster in made.clusters],
                    "seconds": round(seconds, 2),
                }
            )
    return rows


def answers_of(pair: str, seed: int) -> tuple[ExperimentConfig, list[Finding]]:
    """The quickstart's answers on a pair."""
    config = ExperimentConfig.from_file(
        config_path("quickstart"), [f'pair={{ name = "{pair}" }}', f"seed={seed}"]
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = DivergencePipeline(config=config, run_dir=Path(folder) / "run")
        return pipeline.config, findings_of(pipeline.run().run_dir)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, action="append", help="folder of a finished run")
    parser.add_argument("--pair", default="smollm2-vs-seafarer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs = [
        (ExperimentConfig.from_file(folder / "config.toml"), findings_of(folder))
        for folder in options.run or ()
    ] or [answers_of(options.pair, options.seed)]
    rows: list[dict[str, object]] = []
    for config, findings in runs:
        if not config.pair.organism:
            parser.error(f"pair {config.pair.name} has no organism: nothing says what is planted")
        detector = load_detector(Path(config.pair.organism))
        label = {"pair": config.pair.name, "seed": config.seed}
        rows += [{**label, **row} for row in measure(findings, detector)]
    for row in rows:
        print(
            f"{row['pair']} seed {row['seed']}: {row['embedding']:22} {row['method']:14}"
            f" n_clusters {row['n_clusters']!s:7}"
            f" -> {row['clusters']} clusters, adjusted Rand index {row['adjusted_rand_index']:.3f},"
            f" homogeneity {row['homogeneity']:.3f} ({row['planted']} planted of {row['answers']})"
        )
    default = [row for row in rows if row["embedding"] == "tfidf" and row["method"] == "kmeans"]
    summary = {
        f"{row['pair']}.seed{row['seed']}.adjusted_rand_index": row["adjusted_rand_index"]
        for row in default
        if row["n_clusters"] == "chosen"
    }
    settings = {
        "pairs": [config.pair.name for config, _ in runs],
        "seeds": [c.seed for c, _ in runs],
    }
    written = write_result("clusters", settings=settings, summary=summary, rows=rows)
    print(f"\ndefault analyzer: {summary}\n{written}")


if __name__ == "__main__":
    main()
