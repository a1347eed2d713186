"""What a run asked both models and what they said, as other tools want it: one case per answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from softdiv import stored
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import Placement
from softdiv.errors import RunError
from softdiv.evaluation.results import Evaluation, PromptResult, defined
from softdiv.pair.layout import with_prompt
from softdiv.plugin.records import Finding, Message
from softdiv.storage.names import CONFIG
from softdiv.storage.plain import to_plain
from softdiv.storage.run_files import RunFiles

SAMPLES = "samples.jsonl"
"""The file of cases that the exports of text have in common."""


@attrs.frozen(kw_only=True)
class Case:
    """One held-out user text under one prompt, and both models' recorded answers."""

    id: str
    prompt: str
    """"" is no prompt"""
    searcher: str
    baseline: bool
    placement: Placement
    user_text: str
    context: tuple[Message, ...]
    """the messages before the user text"""
    category: str
    model_1: str
    """the original's answer"""
    model_2: str
    """the suspect's answer"""
    divergence_bits: float | None
    log_likelihood_ratio: float | None
    """nats: log p2 - log p1 of the suspect's answer"""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation that was asked, prompt and all; not with placement ``prefix``."""
        turns = (*self.context, Message("user", self.user_text))
        found: list[dict[str, str]] = to_plain(with_prompt(turns, self.prompt, self.placement))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, in one order; ``messages`` where they hold the prompt."""
        record: dict[str, Any] = to_plain(self)
        if self.placement != "prefix":
            record["messages"] = self.messages
        return record


@attrs.frozen(kw_only=True)
class Evaluated:
    """An evaluated run."""

    files: RunFiles
    pair: str
    config: ExperimentConfig
    evaluation: Evaluation

    @classmethod
    def of(cls, files: RunFiles) -> Evaluated:
        """Raises RunError if it was not evaluated yet, or a file of it has changed."""
        evaluation = stored.evaluation(files)
        return cls(
            files=files,
            pair=stored.pair_facts(files).name,
            config=ExperimentConfig.from_file(files.file(CONFIG)),
            evaluation=evaluation,
        )

    @property
    def results(self) -> Sequence[PromptResult]:
        """Prompts, best first, then baselines."""
        return (*self.evaluation.prompts, *self.evaluation.baselines)

    @property
    def cases(self) -> list[Case]:
        """Every prompt and baseline on every held-out text."""
        placement = self.config.training.placement
        return [
            _case(f"{number}-{finding.example.id}", result, finding, placement)
            for number, result in enumerate(self.results)
            for finding in result.findings
        ]

    @property
    def chats(self) -> list[Case]:
        """The cases, for a tool that asks in messages. Raises RunError with ``prefix``."""
        if self.config.training.placement == "prefix":
            raise RunError(
                f"run {self.files.path} has its prompts before the chat template",
                why="no message can hold them there",
                fix="export jsonl or dataset, or run it with training.placement = user_start",
            )
        return self.cases


def _case(name: str, result: PromptResult, finding: Finding, placement: Placement) -> Case:
    return Case(
        id=name,
        prompt=result.text,
        searcher=result.searcher,
        baseline=result.is_baseline,
        placement=placement,
        user_text=finding.example.text,
        context=finding.example.context,
        category=finding.example.category,
        model_1=finding.response_1,
        model_2=finding.response_2,
        divergence_bits=defined(finding.divergence_bits),
        log_likelihood_ratio=defined(finding.log_likelihood_ratio),
    )
