"""Search for text prompts."""

from __future__ import annotations

from typing import Any

import attrs

from softdiv.pair.memory import RowLimit
from softdiv.plugin.events import PromptsEvent
from softdiv.plugin.records import HardPrompt
from softdiv.search.generator import HardPromptGenerator, SearchResult
from softdiv.search.task import SearchTask
from softdiv.stages.load import load, refuse_no_texts
from softdiv.stages.train import read_training
from softdiv.stages.work import Work
from softdiv.storage.records import read_records

PROMPTS = "hard_prompts.jsonl"


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


def generate(work: Work) -> None:
    """Run the searchers and the baselines. Writes ``hard_prompts.jsonl``.

    Raises:
        RunError: nothing was trained yet.
    """
    if work.run.done("generate"):
        return
    trained, loaded, config = read_training(work), load(work), work.config
    if loaded.pair.report.same:
        with work.stage("generate") as stage:
            stage.files |= work.run.write_json_lines(PROMPTS, [])
            stage.notes.append("the models are identical: nothing was trained or searched")
        return
    if work.parts.searchers or work.parts.baselines:
        refuse_no_texts(loaded.split, "search")
    with work.stage("generate") as stage:
        loaded.pair.forget_prefixes()
        task = SearchTask(
            pair=loaded.pair,
            layout=loaded.layout,
            train=loaded.split.train,
            config=config.generation,
            soft_prompt=trained.prompt if trained.steps else None,
            seed=config.seed,
            limit=RowLimit(told=stage.notes.append),
            ranks=work.ranks,
        )
        generator = HardPromptGenerator(
            model_1=loaded.pair.model_1,
            model_2=loaded.pair.model_2,
            config=config,
            failures=work.observers.attribution,
            on_stage=lambda event: work.observers.tell("search_step", event),
        )
        found = generator.search(
            task,
            loaded.split.val,
            work.parts.searchers,
            work.parts.baselines,
            spent_before=loaded.pair.ledger.total,
        )
        stage.files |= work.run.write_json_lines(PROMPTS, to_records(found))
        stage.notes += [*generator.unavailable, *generator.notes]
        event = PromptsEvent(prompts=found.prompts, baselines=found.baselines)
        work.observers.tell("prompts_found", event)


def give_prompts(work: Work, prompts: SearchResult) -> None:
    """Put known prompts where those of a search would be. Writes ``hard_prompts.jsonl``."""
    if work.run.done("generate"):
        return
    with work.stage("generate") as stage:
        stage.files |= work.run.write_json_lines(PROMPTS, to_records(prompts))
    work.run.note(prompts="given")


def to_records(found: SearchResult) -> list[dict[str, Any]]:
    """One record per prompt, as :func:`softdiv.stages.replay.read_suite` reads them."""
    return [
        {"baseline": baseline, **attrs.asdict(prompt)}
        for baseline, group in ((False, found.prompts), (True, found.baselines))
        for prompt in group
    ]


def read_prompts(work: Work) -> SearchResult:
    """What the search found. Raises RunError if it has not finished."""
    work.require("generate", "text prompts")
    saved = read_records(work.run.file(PROMPTS), SavedPrompt)
    return SearchResult(
        tuple(one.prompt for one in saved if not one.baseline),
        tuple(one.prompt for one in saved if one.baseline),
    )
