"""Search for text prompts."""

from __future__ import annotations

from softdiv import stored
from softdiv.pair.memory import RowLimit
from softdiv.plugin.events import PromptsEvent
from softdiv.plugin.hookspecs import Hooks
from softdiv.search.generator import HardPromptGenerator, SearchResult
from softdiv.search.task import SearchTask
from softdiv.stages.by_text import generate_by_text
from softdiv.stages.load import load, refuse_no_texts
from softdiv.stages.work import Work


def generate(work: Work) -> None:
    """Run the searchers and the baselines. Writes ``hard_prompts.jsonl``.

    Raises:
        RunError: nothing was trained yet.
    """
    if work.run.done("generate"):
        return
    if work.config.pair.by == "text":
        return generate_by_text(work)
    trained, loaded, config = stored.training(work.run), load(work), work.config
    if loaded.pair.report.same:
        with work.stage("generate") as stage:
            stage.files |= stored.write_prompts(work.run, SearchResult((), ()))
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
            on_stage=lambda event: work.observers.tell(Hooks.softdiv_search_step, event),
        )
        found = generator.search(
            task,
            loaded.split.val,
            work.parts.searchers,
            work.parts.baselines,
            spent_before=loaded.pair.ledger.total,
        )
        stage.files |= stored.write_prompts(work.run, found)
        stage.notes += [*generator.unavailable, *generator.notes]
        event = PromptsEvent(prompts=found.prompts, baselines=found.baselines)
        work.observers.tell(Hooks.softdiv_prompts_found, event)


def give_prompts(work: Work, prompts: SearchResult) -> None:
    """Put known prompts where those of a search would be. Writes ``hard_prompts.jsonl``."""
    if work.run.done("generate"):
        return
    with work.stage("generate") as stage:
        stage.files |= stored.write_prompts(work.run, prompts)
    work.run.note(prompts="given")
