"""DivergenceAnalyzer: the configured analyzers over the findings, failures named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.analysis.attention import AttentionPattern, attention_pattern
from softdiv.analysis.clusters import Clustering, Method, cluster_findings
from softdiv.analysis.figures import png, svg
from softdiv.analysis.record import AnalysisReport, mean_by_prompt
from softdiv.analysis.shape import misshapen
from softdiv.config.build import built
from softdiv.config.schema import AnalysisConfig
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.errors import ConfigError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.failures import FOREIGN, Failures
from softdiv.plugin.interfaces import ModelAnalyzer
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.options import build_options
from softdiv.plugin.records import Finding, Section
from softdiv.storage import atomic
from softdiv.storage.records import as_read_back


@attrs.frozen(kw_only=True)
class ClusteringConfig:
    """What ``clustering_config`` may say: options of ``cluster_findings``."""

    method: Method = "kmeans"
    n_clusters: int | None = None
    seed: int = 0
    max_clusters: int = 8
    resamples: int = 20


def default_analyzers() -> dict[str, Any]:
    """The analyzers of a config that names none."""
    registry, wanted = PluginManager.load().registry, AnalysisConfig().analyzers
    return built(registry, "analyzers", "analysis.analyzers", wanted)


@attrs.frozen(kw_only=True)
class DivergenceAnalyzer:
    """``analyze(findings)``: one section per analyzer, in the config's order.

    A *dataset* is a sequence of :class:`softdiv.Finding`, the best prompt's first: the
    ``result["dataset"]`` of a pipeline.
    """

    analyzers: Mapping[str, Any] = attrs.field(factory=default_analyzers)
    metrics: DivergenceMetrics = attrs.field(factory=DivergenceMetrics)
    """of these, response metrics that the dataset does not carry are computed on its answers"""
    output_dir: Path = attrs.field(default=Path("analysis"), converter=Path)
    """where :meth:`generate_report` writes"""
    failures: Failures = attrs.field(factory=Failures)
    """Names the plugin behind a failure."""

    def analyze(
        self,
        findings: Sequence[Finding],
        pair: ModelPair | None = None,
        layout: Layout | None = None,
    ) -> tuple[Section, ...]:
        """A section says ``not available: reason`` where its analyzer failed.

        Args:
            findings: the best prompt's first.
            pair: the loaded models, for analyzers that run them once more.
            layout: where the prompt sits; goes with ``pair``.
        """
        sections = []
        for name, analyzer in self.analyzers.items():
            try:
                if pair is not None and isinstance(analyzer, ModelAnalyzer):
                    section = analyzer.with_models(findings, pair, layout)
                else:
                    section = analyzer(findings)
                if not isinstance(section, Section):
                    raise TypeError(f"returned {type(section).__name__}, expected a Section")
                section = as_read_back(Section, section)
                if wrong := misshapen(section):
                    raise ValueError(wrong)
            except FOREIGN as error:  # an analyzer's failure is named and does not stop the run
                line = self.failures.add(analyzer, f"analyzer '{name}'", error)
                section = Section(title=name, summary=f"not available: {line}")
            sections.append(section)
        return tuple(sections)

    def generate_report(self, dataset: Sequence[Finding]) -> AnalysisReport:
        """Every analyzer's section and the mean metrics of each prompt.

        Writes ``analysis.json`` and ``analysis.md`` into :attr:`output_dir`. (A run's own
        ``report.html``, with its verdict, intervals and baselines, is in its folder.)
        """
        measured, unavailable = self._measured(dataset)
        report = AnalysisReport(
            prompts=mean_by_prompt(dataset, measured),
            sections=self.analyze(dataset),
            unavailable=unavailable,
        )
        atomic.write_json(self.output_dir / "analysis.json", report.to_dict())
        atomic.write_text(self.output_dir / "analysis.md", report.to_markdown())
        return report

    def _measured(
        self, dataset: Sequence[Finding]
    ) -> tuple[list[dict[str, float]], dict[str, str]]:
        """Each finding's metrics, with those response metrics that it does not carry yet.

        Also returns why a metric is not available.
        """
        lacking = {
            name: metric
            for name, metric in self.metrics.metrics.items()
            if not all(name in finding.metrics for finding in dataset)
        }
        metrics = DivergenceMetrics(lacking, self.failures)
        found = metrics.of_pairs([f.as_pair() for f in dataset]) if dataset else {}
        measured = [
            {**f.metrics, **{name: values[n] for name, values in found.items()}}
            for n, f in enumerate(dataset)
        ]
        return measured, {**self.metrics.unavailable, **metrics.unavailable}

    def analyze_divergence_patterns(
        self, dataset: Sequence[Finding], clustering_config: Mapping[str, Any] | None = None
    ) -> Clustering:
        """Groups of findings in which model_2's answers depart in the same way.

        Args:
            clustering_config: ``method`` (kmeans, hdbscan, agglomerative), ``n_clusters`` (chosen
                by silhouette if not given), ``seed``, ``max_clusters``, ``resamples``.

        Raises:
            ConfigError: an unknown key or value.
        """
        options = build_options(
            ClusteringConfig, clustering_config or {}, where="clustering_config"
        )
        return cluster_findings(dataset, **attrs.asdict(options))

    def visualize_attention_patterns(
        self, model_outputs: Any, save_path: str | Path = "attention.png"
    ) -> AttentionPattern:
        """Draw where both models look, layer by layer, and their difference.

        The numbers are saved beside the picture, in a JSON file of the same name.

        Args:
            model_outputs: ``(outputs_1, outputs_2)`` or ``{"model_1": ..., "model_2": ...}``, each
                a transformers output with ``output_attentions=True`` on the same tokens, or the
                list of ``ModelWrapper.attentions(ids)``.
            save_path: ``.png`` or ``.svg``.

        Raises:
            ConfigError: another ending, or not two outputs.
            PairError: an output has no attention weights, or the two do not fit together.
        """
        path = Path(save_path)
        draw = {".png": png, ".svg": svg}.get(path.suffix)
        if draw is None:
            raise ConfigError(f"save_path {path}: the ending is .png or .svg")
        both = model_outputs
        if isinstance(both, Mapping) and {"model_1", "model_2"} <= both.keys():
            both = (both["model_1"], both["model_2"])
        if not isinstance(both, (tuple, list)) or len(both) != 2:
            raise ConfigError(
                f"model_outputs is {type(model_outputs).__name__}, not the outputs of two models",
                fix='give (outputs_1, outputs_2) or {"model_1": ..., "model_2": ...}',
            )
        pattern = attention_pattern(*(_attentions(outputs) for outputs in both))
        drawn = draw(*pattern.heatmaps()) or ""
        atomic.write_bytes(path, drawn.encode() if isinstance(drawn, str) else drawn)
        numbers = {
            "tokens": pattern.tokens,
            "model_1": pattern.model_1.tolist(),
            "model_2": pattern.model_2.tolist(),
        }
        atomic.write_json(path.with_suffix(".json"), numbers)
        return pattern


def _attentions(outputs: Any) -> Sequence[Any]:
    """Per layer; transformers outputs are mappings with attributes."""
    found: Sequence[Any] = getattr(outputs, "attentions", outputs)
    return found or ()
