"""What the stages of a run leave for the next ones and for readers, each written and read here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from softdiv.analysis.shape import misshapen
from softdiv.errors import RunError
from softdiv.evaluation.results import Evaluation, defined
from softdiv.plugin.records import Finding, HardPrompt, Section
from softdiv.storage.atomic import read_json_lines
from softdiv.storage.names import (
    ANALYSIS,
    ANSWERS,
    BEST,
    EVALUATION,
    METRICS,
    PAIR,
    PROMPTS,
    TRAINING,
)
from softdiv.storage.plain import to_plain
from softdiv.storage.records import read_record, read_records
from softdiv.storage.run import RunFolder
from softdiv.storage.run_files import RunFiles

if TYPE_CHECKING:  # torch: what is printed of a finished run needs none
    from softdiv.search.generator import SearchResult
    from softdiv.training.result import TrainingFacts, TrainingResult

Written = dict[str, str]
"""Name -> sha256."""


@attrs.frozen(kw_only=True)
class PairFacts:
    """``pair.json``: what a run's models said of themselves when they were loaded."""

    name: str
    notes: tuple[str, ...]
    identical: bool
    chat_template_sha256: str | None = None
    answers_end_with: tuple[Mapping[str, Any], ...] = ()
    self_check: Mapping[str, str] = {}
    """runs of 0.1.0 have none of the last three"""


@attrs.frozen(kw_only=True)
class SavedPrompt(HardPrompt):
    """A line of ``hard_prompts.jsonl``."""

    baseline: bool

    @property
    def prompt(self) -> HardPrompt:
        """The prompt alone."""
        table = attrs.asdict(self, recurse=False)
        del table["baseline"]
        return HardPrompt(**table)


def write_pair(run: RunFolder, facts: PairFacts) -> Written:
    """``pair.json``."""
    return run.write_json(PAIR, to_plain(facts))


def pair_facts(files: RunFiles) -> PairFacts:
    """Raises RunError if the models were not loaded yet, or the file is not what it was."""
    return read_record(files.file(PAIR), PairFacts)


def write_training(run: RunFolder, facts: TrainingFacts) -> Written:
    """``training.json``: all but the prompt."""
    from softdiv.training.result import TrainingFacts

    return run.write_json(
        TRAINING, {f.name: to_plain(getattr(facts, f.name)) for f in attrs.fields(TrainingFacts)}
    )


def training_facts(files: RunFiles) -> TrainingFacts:
    """All but the prompt. Raises RunError if the training has not finished."""
    from softdiv.training.result import TrainingFacts

    files.require("train")
    return read_record(files.file(TRAINING), TrainingFacts)


def training(files: RunFiles) -> TrainingResult:
    """What training found. Raises RunError if it has not finished."""
    from softdiv.training.result import TrainingResult
    from softdiv.training.soft_prompt import DivergenceSoftPrompt

    facts = training_facts(files)
    prompt = DivergenceSoftPrompt.load(files.file(BEST)).embeddings.detach()
    return TrainingResult(prompt=prompt, **attrs.asdict(facts, recurse=False))


def metrics(files: RunFiles) -> list[Any]:
    """A record per step of the training; none where no step was taken."""
    trained = METRICS in files.stage("train")["files"]
    return read_json_lines(files.file(METRICS)) if trained else []


def prompt_records(found: SearchResult) -> list[dict[str, Any]]:
    """One record per prompt, as :func:`softdiv.stages.replay.read_suite` reads them."""
    return [
        {"baseline": baseline, **to_plain(prompt)}
        for baseline, group in ((False, found.prompts), (True, found.baselines))
        for prompt in group
    ]


def write_prompts(run: RunFolder, found: SearchResult) -> Written:
    """``hard_prompts.jsonl``."""
    return run.write_json_lines(PROMPTS, prompt_records(found))


def prompts(files: RunFiles) -> SearchResult:
    """What the search found. Raises RunError if it has not finished."""
    from softdiv.search.generator import SearchResult

    files.require("generate")
    saved = read_records(files.file(PROMPTS), SavedPrompt)
    return SearchResult(
        tuple(one.prompt for one in saved if not one.baseline),
        tuple(one.prompt for one in saved if one.baseline),
    )


def write_evaluation(run: RunFolder, found: Evaluation) -> Written:
    """``evaluation.json``, and both models' answers in ``generations.jsonl``."""
    answers = [
        {"prompt": result.text, "searcher": result.searcher, **answer_record(finding)}
        for result in (*found.prompts, *found.baselines)
        for finding in result.findings
    ]
    return {
        **run.write_json(EVALUATION, to_plain(found), indent=None),
        **run.write_json_lines(ANSWERS, answers),
    }


def evaluation(files: RunFiles) -> Evaluation:
    """What was measured, equal to what was computed. Raises RunError if it was not yet."""
    files.require("evaluate")
    return read_record(files.file(EVALUATION), Evaluation)


def answer_record(finding: Finding) -> dict[str, Any]:
    """Both models' answers to one user text, for a reader."""
    counted = {}
    if finding.written is not None:
        two = finding.written[1]
        counted = {"model_2_counted": two.counted, "model_2_end_counted": two.closed}
    return {
        "user_text": finding.example.text,
        "context": to_plain(finding.example.context),
        "model_1": finding.response_1,
        "model_2": finding.response_2,
        "model_1_cut": finding.cut[0],
        "model_2_cut": finding.cut[1],
        "divergence_bits": defined(finding.divergence_bits),
        "log_likelihood_ratio": defined(finding.log_likelihood_ratio),
        **counted,
    }


def write_sections(run: RunFolder, found: tuple[Section, ...]) -> Written:
    """``analysis.json``."""
    return run.write_json(ANALYSIS, to_plain(found))


def sections(files: RunFiles) -> tuple[Section, ...]:
    """The report's sections. Raises RunError if the analysis has not finished."""
    files.require("analyze")
    path = files.file(ANALYSIS)
    found = read_record(path, tuple[Section, ...])
    for wrong in filter(None, map(misshapen, found)):
        raise RunError(f"{path} is damaged", why=wrong)
    return found
