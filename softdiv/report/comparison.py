"""Two runs side by side, from their files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv import stored
from softdiv.config.load import ExperimentConfig
from softdiv.config.redact import HIDDEN, redacted
from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.storage.names import CONFIG
from softdiv.storage.plain import dotted
from softdiv.storage.run_files import RunFiles

_NOT_COMPARED = {"output_dir"}


@attrs.frozen(kw_only=True)
class RunSummary:
    """What is compared of one run."""

    run_dir: Path
    pair: str
    """as the report names it, whether or not the config gave it a name"""
    evaluation: Evaluation
    config: Mapping[str, Any]
    ledger: Mapping[str, int]
    created: str

    @property
    def best(self) -> PromptResult | None:
        """The prompt with the largest lift, if any was found."""
        return self.evaluation.prompts[0] if self.evaluation.prompts else None

    @classmethod
    def of(cls, run_dir: Path) -> RunSummary:
        """Raises RunError if it is no run folder, or was not evaluated yet."""
        run = RunFiles.of(run_dir)
        evaluation = stored.evaluation(run)
        return cls(
            run_dir=run_dir,
            pair=stored.pair_facts(run).name,
            evaluation=evaluation,
            config=ExperimentConfig.from_file(run.file(CONFIG)).to_dict(),
            ledger=run.ledger(),
            created=run.manifest["created"],
        )


@attrs.frozen(kw_only=True)
class Comparison:
    """Two runs and how their configurations differ."""

    runs: tuple[RunSummary, RunSummary]
    settings: Mapping[str, tuple[Any, Any]]
    """dotted key -> its value in each run (None: not set), where they differ; no secrets"""
    shared: Mapping[str, tuple[PromptResult, PromptResult]]
    """text -> its results in each run, of every prompt or baseline that both scored"""

    @classmethod
    def of(cls, first: Path, second: Path) -> Comparison:
        """Raises RunError if a run cannot be read or was not evaluated yet."""
        one, two = RunSummary.of(first), RunSummary.of(second)
        flat_1, flat_2 = dotted(one.config), dotted(two.config)
        by_text_1, by_text_2 = _by_text(one), _by_text(two)
        return cls(
            runs=(one, two),
            settings={
                key: (_shown(key, one.config), _shown(key, two.config))
                for key in dict.fromkeys((*flat_1, *flat_2))
                if flat_1.get(key) != flat_2.get(key) and key not in _NOT_COMPARED
            },
            shared={
                text: (by_text_1[text], by_text_2[text]) for text in by_text_1.keys() & by_text_2
            },
        )


def _shown(key: str, config: Mapping[str, Any]) -> Any:
    """The value of a dotted key as anybody may see it; None where it is not set."""
    return dotted(redacted(config)).get(key, HIDDEN if key in dotted(config) else None)


def _by_text(run: RunSummary) -> dict[str, PromptResult]:
    results = (*run.evaluation.prompts, *run.evaluation.baselines)
    return {result.text: result for result in results}
