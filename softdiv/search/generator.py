"""HardPromptGenerator: every searcher and baseline under one ledger, chosen on validation texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.build import built, plugins_of
from softdiv.config.load import ExperimentConfig
from softdiv.data.base import text_id
from softdiv.errors import ConfigError, DataError, LostRank, PairError
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit
from softdiv.plugin.events import SearchEvent
from softdiv.plugin.failures import FOREIGN, Failures
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget, bounded
from softdiv.search.cost import affordable
from softdiv.search.halving import (
    VALIDATION_TEXTS,
    VALIDATION_TOKENS,
    in_turn,
    successive_halving,
)
from softdiv.search.task import SearchTask
from softdiv.search.text_task import AnyTask
from softdiv.storage.locate import as_safetensors
from softdiv.training.soft_prompt import DivergenceSoftPrompt

FEWEST_CHOSEN = 6
"""Candidates that are scored even where the searchers have spent all: nothing else tells them
apart."""
VALIDATION_EVERY = 3
"""Of the texts given to :meth:`HardPromptGenerator.batch_generate`, one in three chooses."""


@attrs.frozen
class NamedSearcher:
    """A configured searcher under the name it has in the config."""

    name: str
    search: Any


@attrs.frozen
class SearchResult:
    """Prompts and baselines, best first, chosen on validation texts."""

    prompts: tuple[HardPrompt, ...]
    baselines: tuple[HardPrompt, ...]


@attrs.define(eq=False, kw_only=True)
class HardPromptGenerator:
    """Runs proposers, the halving loop, refiners, and the baselines at equal cost.

    ``HardPromptGenerator(model_1=..., model_2=..., tokenizer=...).batch_generate(...)`` turns
    trained soft prompts into text prompts; :meth:`search` is the stage of a run.
    """

    model_1: Any
    """:class:`softdiv.ModelWrapper`, or a transformers model with ``tokenizer``"""
    model_2: Any
    tokenizer: Any = None
    config: ExperimentConfig = attrs.field(factory=ExperimentConfig)
    """its ``generation`` says how to search; ``plugins`` where searchers come from"""
    failures: Failures = attrs.field(factory=Failures)
    """Names the plugin behind a failure."""
    unavailable: list[str] = attrs.field(init=False, factory=list)
    """One line per searcher or baseline that failed; what it had proposed is kept."""
    on_stage: Callable[[SearchEvent], None] = lambda event: None
    notes: list[str] = attrs.field(init=False, factory=list)
    """Files taken in place of those asked for, and searchers that proposed nothing."""

    def batch_generate(
        self,
        *,
        checkpoint_paths: str | Path | Iterable[str | Path],
        input_texts: Sequence[str | Example],
        min_divergence: float = 0.0,
    ) -> list[HardPrompt]:
        """Search from each of several trained soft prompts, and keep the best text prompts of all.

        Every soft prompt gets the whole of ``generation.budget_fte``. Two in three of the texts
        are searched on, the others choose.

        Args:
            checkpoint_paths: soft prompt files, patterns of them, or run folders.
            input_texts: user texts, at least two.
            min_divergence: bits of D on the choosing texts, below which a prompt is left out. A
                value that chose prompts is biased upwards: evaluate them on other texts.

        Returns:
            Prompts best first, each once; ``note`` ends in the soft prompt's file.

        Raises:
            ConfigError: ``min_divergence`` is no number of bits, 0 to 1.
            DataError: fewer than two texts.
            RunError: a file is missing, a pickle, or damaged.
            PairError: the models cannot be compared, or a soft prompt is of another size.
        """
        if not 0 <= min_divergence <= 1:
            raise ConfigError(f"min_divergence is {min_divergence}", fix="give bits, 0 to 1")
        texts = [Example(id=text_id(t), text=t) if isinstance(t, str) else t for t in input_texts]
        if len(texts) < 2:
            raise DataError(
                f"{len(texts)} input texts",
                fix="give two or more: some to search on, one to choose",
            )
        searchers = self._configured()
        paths = as_safetensors(checkpoint_paths, self.notes.append)
        pair = ModelPair.of(self.model_1, self.model_2, self.tokenizer, config=self.config.pair)
        found: list[HardPrompt] = []
        for path in paths:
            soft = DivergenceSoftPrompt.load(path)
            width = soft.embeddings.shape[1]
            if width != pair.model_1.hidden_size:
                raise PairError(
                    f"{path} is a prompt of hidden size {width}",
                    why=f"the models have {pair.model_1.hidden_size}",
                )
            placement: Any = soft.metadata.get("placement", self.config.training.placement)
            task = SearchTask(
                pair=pair,
                layout=pair.layout(placement),
                train=[text for n, text in enumerate(texts) if n % VALIDATION_EVERY],
                config=self.config.generation,
                soft_prompt=soft.embeddings.detach().to(pair.model_1.device),
                seed=self.config.seed,
                limit=RowLimit(told=self.notes.append),
            )
            for prompt in self.search(task, texts[::VALIDATION_EVERY], searchers).prompts:
                origin = f"{prompt.note}; {path}" if prompt.note else str(path)
                found.append(attrs.evolve(prompt, note=origin))
        found.sort(key=_llr, reverse=True)
        return [prompt for prompt in _unique(found) if _bits(prompt) >= min_divergence]

    def search(
        self,
        task: AnyTask,
        val: Sequence[Example],
        searchers: Sequence[NamedSearcher],
        baselines: Sequence[NamedSearcher] = (),
        spent_before: int = 0,
    ) -> SearchResult:
        """Search for prompts, then run each baseline at the same cost.

        Args:
            val: texts that choose; no searcher sees them.
            spent_before: FTE of the soft prompt's training, which the searchers profit from and
                which therefore counts as theirs.
        """
        config, ledger = task.config, task.pair.ledger
        budget = FteBudget(ledger, config.budget_fte)
        with ledger.phase("search"):
            proposers = [s for s in searchers if s.search.role != "refiner"]
            found = self._propose(task, proposers, budget)
            self._tell("proposals", found, budget)
            refiners = [s for s in searchers if s.search.role == "refiner"]
            task.best = self._halved(task, found, budget, ordered=bool(refiners))
            self._tell("halving", task.best, budget)
            refined = self._propose(task, refiners, budget)
            self._tell("refinement", refined, budget)
            survivors = _unique([*refined, *task.best])
            prompts = choose(task, val, survivors, config.num_prompts)
        prompts = [attrs.evolve(p, cost_fte=spent_before + budget.spent) for p in prompts]
        equal = max(spent_before + budget.spent, 1)
        best_of_each = []
        for baseline in baselines:
            own = FteBudget(ledger, equal)
            with ledger.phase(f"baseline {baseline.name}"):
                proposed = self._propose(task, [baseline], own)
                ranked = self._halved(task, proposed, own)
                best = choose(task, val, ranked, 1) if len(ranked) > 1 else ranked
            best_of_each += [attrs.evolve(p, cost_fte=own.spent) for p in best or proposed[:1]]
            self._tell(f"baseline {baseline.name}", best, own)
        return SearchResult(tuple(prompts), tuple(best_of_each))

    def _configured(self) -> list[NamedSearcher]:
        registry, wanted = plugins_of(self.config).registry, self.config.generation.searchers
        made = built(registry, "searchers", "generation.searchers", wanted)
        return [NamedSearcher(name, searcher) for name, searcher in made.items()]

    def _halved(
        self,
        task: AnyTask,
        found: Sequence[HardPrompt],
        budget: FteBudget,
        *,
        ordered: bool = False,
    ) -> list[HardPrompt]:
        """As many as what is left of the budget can choose from, each searcher's best first."""
        some = max(affordable(task, budget, len(found)), FEWEST_CHOSEN)
        return successive_halving(task, in_turn(found)[:some], budget, ordered=ordered)

    def _tell(self, stage: str, prompts: Sequence[HardPrompt], budget: FteBudget) -> None:
        self.on_stage(SearchEvent(stage=stage, prompts=prompts, spent_fte=budget.spent))

    def _propose(
        self, task: AnyTask, searchers: Sequence[NamedSearcher], budget: FteBudget
    ) -> list[HardPrompt]:
        found: list[HardPrompt] = []
        for searcher in searchers:
            task.explanations.clear()
            left, given, before = budget.remaining, 0, len(found)
            try:
                for prompt in bounded(searcher.search(task, budget), task.pair.ledger):
                    given += 1
                    if prompt.text == "" or task.usable(prompt.text):
                        found.append(attrs.evolve(prompt, searcher=searcher.name))
                if len(found) == before:
                    why = _why_nothing(task, left, given)
                    self.notes.append(f"searcher '{searcher.name}' proposed nothing: {why}")
            except LostRank:
                raise
            except FOREIGN as error:  # attributed and reported; other searchers go on
                where = f"searcher '{searcher.name}'"
                line = self.failures.add(searcher.search, where, error)
                self.unavailable.append(f"searcher '{searcher.name}' not available: {line}")
        return _unique(found)


def choose(
    task: AnyTask, val: Sequence[Example], prompts: Sequence[HardPrompt], count: int
) -> list[HardPrompt]:
    """The best by the likelihood ratio of model_2's answers to validation texts, which no searcher
    has seen.

    Not by D: a prompt that quotes what was planted makes model_1 repeat it, and one that both
    models find odd makes them differ anyhow.
    """
    if not prompts:
        return []
    texts = list(val[:VALIDATION_TEXTS])
    scores = task.both_scores([p.text for p in prompts], texts, VALIDATION_TOKENS)
    scored = [
        attrs.evolve(prompt, validation_bits=score.bits, validation_llr=score.llr)
        for prompt, score in zip(prompts, scores, strict=True)
    ]
    return sorted(scored, key=_llr, reverse=True)[:count]


def _why_nothing(task: AnyTask, budget: int, given: int) -> str:
    """Of a searcher that left no prompt, having had ``budget`` FTE and ``given`` proposals."""
    if given:
        most = task.config.max_prompt_tokens
        return (
            f"none of its {given} texts can be a prompt (blank, over {most} "
            "tokens, or with a special token)"
        )
    if not budget:
        return "those before it had spent the budget"
    return "; ".join(task.explanations) or "it gave no reason"


def _bits(prompt: HardPrompt) -> float:
    return prompt.validation_bits or 0.0


def _llr(prompt: HardPrompt) -> float:
    return prompt.validation_llr or 0.0


def _unique(prompts: Iterable[HardPrompt]) -> list[HardPrompt]:
    by_text: dict[str, HardPrompt] = {}
    for prompt in prompts:
        by_text.setdefault(prompt.text, prompt)
    return list(by_text.values())
