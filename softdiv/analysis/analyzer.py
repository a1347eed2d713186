"""DivergenceAnalyzer: the configured analyzers over the findings, failures named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.failures import FOREIGN, Failures
from softdiv.plugin.interfaces import ModelAnalyzer
from softdiv.plugin.records import Finding, Section


@attrs.frozen(kw_only=True)
class DivergenceAnalyzer:
    """``analyze(findings)``: one section per analyzer, in the config's order."""

    analyzers: Mapping[str, Any]
    failures: Failures = attrs.field(factory=Failures)
    """Names the plugin behind a failure."""

    @property
    def needs_models(self) -> bool:
        """Whether an analyzer runs the models once more, so that they must be loaded."""
        return any(isinstance(analyzer, ModelAnalyzer) for analyzer in self.analyzers.values())

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
            except FOREIGN as error:  # an analyzer's failure is named and does not stop the run
                line = self.failures.add(analyzer, f"analyzer '{name}'", error)
                section = Section(title=name, summary=f"not available: {line}")
            sections.append(section)
        return tuple(sections)
