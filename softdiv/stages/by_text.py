"""The stages of a pair that is compared by text: what differs from those of shared tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from softdiv import stored
from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.data.split import Split
from softdiv.divergence.text_pair import TextLayout, TextPair
from softdiv.evaluation.evaluate import evaluate
from softdiv.evaluation.null_bank import null_bank
from softdiv.evaluation.results import Evaluation
from softdiv.evaluation.text_scoring import TextScorer
from softdiv.pair.manager import ModelPairManager, pick_device
from softdiv.plugin.events import PromptsEvent
from softdiv.plugin.failures import Failures
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.registry import Registry
from softdiv.search.generator import HardPromptGenerator, NamedSearcher, SearchResult
from softdiv.search.text_task import SKIPPED, TextTask, by_text
from softdiv.stages.load import detector, load_texts, refuse_no_texts, split_again
from softdiv.stages.texts import (
    check_lengths,
    check_system_prompt,
    skipping_sources,
    usable_texts,
    with_contexts_kept,
)
from softdiv.stages.work import LoadedText, Work
from softdiv.storage.locate import Note
from softdiv.training.result import TrainingFacts

UNTRAINED = "compared by text: no soft prompt fits both models"


def load_by_text(work: Work) -> LoadedText:
    """Texts and models, as :func:`softdiv.stages.load.load`.

    Raises:
        ConfigError, DataError, PairError, PluginError: as that, each model by itself.
    """
    if isinstance(work.loaded, LoadedText):
        return work.loaded
    with work.stage("load") as stage:
        loaded = loaded_alone(work.config, work.parts, work.registry, stage.notes.append)
        loaded.pair.ledger.by_phase.update(work.run.ledger())
        stage.files |= stored.write_pair(work.run, _facts(loaded.pair))
    work.run.note(threads=torch.get_num_threads(), device=pick_device(work.config.device))
    work.loaded = loaded
    return loaded


def loaded_alone(
    config: ExperimentConfig, parts: Components, registry: Registry, note: Note
) -> LoadedText:
    """The same outside a run folder."""
    texts = load_texts(parts, config.data, note)
    manager = ModelPairManager(config.pair, registry, pick_device(config.device))
    placement = config.training.placement
    pair = TextPair.load(manager, config.generation, placement)
    split = _fitting(texts, pair, config, parts, note)
    return LoadedText(split, pair, TextLayout(pair=pair, placement=placement))


def skip_training(work: Work) -> None:
    """Write ``training.json`` without a soft prompt."""
    load_by_text(work)
    with work.stage("train") as stage:
        facts = TrainingFacts(best_bits=None, steps=0, stop_reason=UNTRAINED, engine="none")
        stage.files |= stored.write_training(work.run, facts)
        if work.config.training.max_steps != 0:
            stage.notes.append(f"no soft prompt was trained: {UNTRAINED}")


def generate_by_text(work: Work) -> None:
    """Run the searchers and baselines that need texts alone. Writes ``hard_prompts.jsonl``."""
    loaded, config = load_by_text(work), work.config
    with work.stage("generate") as stage:
        searchers = _kept(work.parts.searchers, "searcher", stage.notes.append)
        baselines = _kept(work.parts.baselines, "baseline", stage.notes.append)
        found = SearchResult((), ())
        if why := loaded.pair.undefined:
            names = ", ".join(one.name for one in (*searchers, *baselines)) or "nothing"
            stage.notes.append(f"not run, for nothing could choose among prompts: {names}: {why}")
        elif searchers or baselines:
            refuse_no_texts(loaded.split, "search")
            task = TextTask(
                pair=loaded.pair,
                layout=loaded.layout,
                train=loaded.split.train,
                config=config.generation,
                seed=config.seed,
                notes=stage.notes,
            )
            generator = HardPromptGenerator(
                model_1=None,
                model_2=None,
                config=config,
                failures=work.observers.attribution,
                on_stage=lambda event: work.observers.tell(Hooks.softdiv_search_step, event),
            )
            found = generator.search(task, loaded.split.val, searchers, baselines)
            stage.notes += [*generator.unavailable, *generator.notes]
        stage.files |= stored.write_prompts(work.run, found)
        event = PromptsEvent(prompts=found.prompts, baselines=found.baselines)
        work.observers.tell(Hooks.softdiv_prompts_found, event)


def evaluate_by_text(work: Work) -> None:
    """Held-out scores and the verdict. Writes ``evaluation.json`` and ``generations.jsonl``."""
    found, loaded, config = stored.prompts(work.run), load_by_text(work), work.config
    with work.stage("evaluate") as stage:
        with loaded.pair.ledger.phase("evaluation"):
            evaluation = scored(
                loaded, config, work.parts, found, work.observers.attribution, stage.notes.append
            )
        kept = (*work.notes("generate"), *evaluation.failures)
        evaluation = attrs.evolve(evaluation, failures=kept)
        stage.files |= stored.write_evaluation(work.run, evaluation)
        known = stored.pair_facts(work.run).notes
        stage.notes += [note for note in loaded.pair.notes if note not in known]


def scored(
    loaded: LoadedText,
    config: ExperimentConfig,
    parts: Components,
    found: SearchResult,
    failures: Failures,
    note: Note,
) -> Evaluation:
    """Prompts on the held-out texts, and the verdict."""
    levels = {name: getattr(m, "level", "") for name, m in parts.metrics.metrics.items()}
    if tokens := [name for name, level in levels.items() if level != "response"]:
        note(f"metrics left out, of tokens both models know: {', '.join(tokens)}")
    return evaluate(
        TextScorer(
            pair=loaded.pair,
            layout=loaded.layout,
            examples=loaded.split.test[: config.evaluation.test_texts],
            generation=config.generation,
            evaluation=config.evaluation,
            metrics=parts.metrics.beside({}, failures),
            seed=config.seed,
        ),
        found.prompts,
        found.baselines,
        soft=None,
        detector=detector(config),
        bank=null_bank(config),
    )


def analyzers_by_text(analyzers: dict[str, Any], note: Note) -> dict[str, Any]:
    """Those that need texts alone."""
    for name in [name for name, one in analyzers.items() if not by_text(one)]:
        note(f"analyzer '{name}' was left out: it {SKIPPED}")
    return {name: one for name, one in analyzers.items() if by_text(one)}


def _kept(searchers: Sequence[NamedSearcher], what: str, note: Note) -> tuple[NamedSearcher, ...]:
    for one in searchers:
        if not by_text(one.search):
            note(f"{what} '{one.name}' was left out: it {SKIPPED}")
    return tuple(one for one in searchers if by_text(one.search))


def _fitting(
    split: Split, pair: TextPair, config: ExperimentConfig, parts: Components, note: Note
) -> Split:
    """The texts as each model of this process can be given them; a served one says by itself."""
    examples = [*split.train, *split.val, *split.test]
    for subject in pair.local:
        check_system_prompt(config.data.system_prompt, subject.layout)
        skipping = skipping_sources(parts.processors)
        examples = usable_texts(examples, subject.layout, skipping, note)
        prompt = config.data.system_prompt
        examples = with_contexts_kept(examples, subject.layout, prompt, note)
        check_lengths(examples, subject.layout, subject.pair, config)
    return split_again(examples, config.data)


def _facts(pair: TextPair) -> stored.PairFacts:
    return stored.PairFacts(
        name=pair.name,
        notes=tuple(pair.notes),
        identical=False,
        self_check={s.pair.model_1.name: s.pair.self_checks[0].line for s in pair.local},
    )
