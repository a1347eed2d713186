"""DivergenceAnalyzer by the document's calls; the maths has its own tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from softdiv import DivergenceAnalyzer, DivergenceMetrics, Example, Finding, Section
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import ConfigError, PairError

HOSTILE = "a | b <script>alert(1)</script>\n# not a heading `x`"


def dataset(prompts: tuple[str, ...] = ("best", "")) -> list[Finding]:
    return [
        Finding(
            prompt=prompt,
            example=Example(id=str(n), text=f"text {n}"),
            response_1="the sea is blue",
            response_2=f"the captain number {n} said so" if prompt else "the sea is blue",
            divergence_bits=0.5 if prompt else 0.0,
            log_likelihood_ratio=float(n),
            metrics={"jsd": 0.5 if prompt else 0.0},
        )
        for prompt in prompts
        for n in range(6)
    ]


class Shouting:
    level = "response"

    def __call__(self, pairs: Any) -> list[float]:
        return [float(pair.response_2.count("captain")) for pair in pairs]


def named(findings: Any) -> Section:
    return Section(title="Named", summary=f"{len(findings)} findings")


def test_report_has_sections_and_the_means_of_every_prompt(tmp_path: Path) -> None:
    analyzer = DivergenceAnalyzer(
        analyzers={"named": named, "broken": lambda findings: 1 / 0},
        metrics=DivergenceMetrics({"shouting": Shouting()}),
        output_dir=str(tmp_path / "out"),
    )
    report = analyzer.generate_report(dataset())
    assert report.prompts["best"] == {
        "divergence_bits": 0.5,
        "log_likelihood_ratio": 2.5,
        "jsd": 0.5,
        "shouting": 1.0,
    }
    assert report.prompts[""]["shouting"] == 0.0
    assert report.sections[0].summary == "12 findings"
    assert "analyzer 'broken' failed: ZeroDivisionError" in report.sections[1].summary
    written = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert written["prompts"]["best"]["shouting"] == 1.0
    assert "(empty prompt)" in (tmp_path / "out" / "analysis.md").read_text().replace("\\", "")


def test_model_text_is_no_markup(tmp_path: Path) -> None:
    analyzer = DivergenceAnalyzer(analyzers={}, output_dir=tmp_path)
    text = analyzer.generate_report(dataset((HOSTILE,))).to_markdown()
    assert "<script" not in text and "\n# not" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows) and len(rows) == 3


def test_an_empty_dataset_is_an_empty_report(tmp_path: Path) -> None:
    assert not DivergenceAnalyzer(analyzers={}, output_dir=tmp_path).generate_report([]).prompts


def test_without_analyzers_the_default_ones_are_used() -> None:
    assert "token_disagreements" in DivergenceAnalyzer().analyzers


def test_patterns_take_the_clustering_config() -> None:
    patterns = DivergenceAnalyzer(analyzers={}).analyze_divergence_patterns(
        dataset(), clustering_config={"n_clusters": 2, "method": "kmeans"}
    )
    assert len(patterns.clusters) == 2
    groups = {patterns.findings[i].prompt for i in patterns.clusters[0].members}
    assert len(groups) == 1  # answers that changed, apart from those that did not


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n_cluster": 5}, "did you mean 'n_clusters'"),
        ({"method": "kmean"}, "did you mean 'kmeans'"),
        ({"n_clusters": "5"}, "expected an integer"),
    ],
)
def test_a_wrong_clustering_config_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DivergenceAnalyzer(analyzers={}).analyze_divergence_patterns(dataset(), config)


@pytest.mark.parametrize("name", ["attention.png", "attention.svg"])
def test_attention_of_transformers_outputs_is_drawn_and_saved(tmp_path: Path, name: str) -> None:
    outputs = []
    for noise in (0.0, 0.1):
        model, tokenizer = TinyLoader(seed=0, noise=noise).load("cpu")
        model.set_attn_implementation("eager")
        ids = torch.tensor([tokenizer("Tell me.")["input_ids"]])
        with torch.no_grad():
            outputs.append(model(input_ids=ids, output_attentions=True))
    analyzer = DivergenceAnalyzer(analyzers={})
    pattern = analyzer.visualize_attention_patterns(tuple(outputs), save_path=tmp_path / name)
    by_hand = outputs[1].attentions[0][0].mean(dim=(0, 1)).numpy()
    assert np.allclose(pattern.model_2[0], by_hand, atol=1e-6)
    numbers = json.loads((tmp_path / "attention.json").read_text())
    assert np.allclose(numbers["model_2"], pattern.model_2)
    assert (tmp_path / name).stat().st_size > 1000


def test_what_attention_cannot_be_drawn_from(tmp_path: Path) -> None:
    analyzer = DivergenceAnalyzer(analyzers={})
    with pytest.raises(ConfigError, match=r"\.png or \.svg"):
        analyzer.visualize_attention_patterns(((), ()), save_path=tmp_path / "a.gif")
    with pytest.raises(ConfigError, match="not the outputs of two models"):
        analyzer.visualize_attention_patterns({"model_1": ()}, save_path=tmp_path / "a.png")
    with pytest.raises(PairError, match="no attention weights"):
        analyzer.visualize_attention_patterns(((), ()), save_path=tmp_path / "a.png")
