"""HardPromptGenerator: every searcher and baseline under one ledger, chosen on validation texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from softdiv.plugin.events import SearchEvent
from softdiv.plugin.failures import FOREIGN, Failures
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.halving import successive_halving
from softdiv.search.task import SearchTask

VALIDATION_TEXTS = 8
VALIDATION_TOKENS = 12

Told = Callable[[SearchEvent], None]


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
    """Runs proposers, the halving loop, refiners, and the baselines at equal cost."""

    task: SearchTask
    val: Sequence[Example]
    failures: Failures = attrs.field(factory=Failures)
    """Names the plugin behind a failure."""
    unavailable: list[str] = attrs.field(init=False, factory=list)
    """One line per searcher or baseline that failed; what it had proposed is kept."""
    on_stage: Told = lambda event: None

    def search(
        self,
        searchers: Sequence[NamedSearcher],
        baselines: Sequence[NamedSearcher],
        spent_before: int = 0,
    ) -> SearchResult:
        """Search for prompts, then run each baseline at the same cost.

        Args:
            spent_before: FTE of the soft prompt's training, which the searchers profit from and
                which therefore counts as theirs.
        """
        config, ledger = self.task.config, self.task.pair.ledger
        budget = FteBudget(ledger, config.budget_fte)
        with ledger.phase("search"):
            found = self._propose([s for s in searchers if s.search.role == "proposer"], budget)
            self._tell("proposals", found, budget)
            self.task.best = successive_halving(self.task, found, budget)
            self._tell("halving", self.task.best, budget)
            refined = self._propose([s for s in searchers if s.search.role == "refiner"], budget)
            self._tell("refinement", refined, budget)
            survivors = _unique([*refined, *self.task.best])
            prompts = self.choose(survivors, config.num_prompts)
        prompts = [attrs.evolve(p, cost_fte=spent_before + budget.spent) for p in prompts]
        equal = max(spent_before + budget.spent, 1)
        best_of_each = []
        for baseline in baselines:
            own = FteBudget(ledger, equal)
            with ledger.phase(f"baseline {baseline.name}"):
                proposed = self._propose([baseline], own)
                ranked = successive_halving(self.task, proposed, own)
                best = self.choose(ranked, 1) if len(ranked) > 1 else ranked
            best_of_each += [attrs.evolve(p, cost_fte=own.spent) for p in best or proposed[:1]]
            self._tell(f"baseline {baseline.name}", best, own)
        return SearchResult(tuple(prompts), tuple(best_of_each))

    def choose(self, prompts: Sequence[HardPrompt], count: int) -> list[HardPrompt]:
        """The best by D on validation texts, which no searcher has seen."""
        if not prompts:
            return []
        texts = list(self.val[:VALIDATION_TEXTS])
        bits = self.task.score([p.text for p in prompts], texts, VALIDATION_TOKENS)
        scored = [
            attrs.evolve(prompt, validation_bits=value)
            for prompt, value in zip(prompts, bits, strict=True)
        ]
        return sorted(scored, key=lambda p: -(p.validation_bits or 0.0))[:count]

    def _tell(self, stage: str, prompts: Sequence[HardPrompt], budget: FteBudget) -> None:
        self.on_stage(SearchEvent(stage=stage, prompts=prompts, spent_fte=budget.spent))

    def _propose(self, searchers: Sequence[NamedSearcher], budget: FteBudget) -> list[HardPrompt]:
        found: list[HardPrompt] = []
        for searcher in searchers:
            try:
                for prompt in searcher.search(self.task, budget):
                    if prompt.text == "" or self.task.usable(prompt.text):
                        found.append(attrs.evolve(prompt, searcher=searcher.name))
            except FOREIGN as error:  # attributed and reported; other searchers go on
                where = f"searcher '{searcher.name}'"
                line = self.failures.add(searcher.search, where, error)
                self.unavailable.append(f"searcher '{searcher.name}' not available: {line}")
        return _unique(found)


def _unique(prompts: Iterable[HardPrompt]) -> list[HardPrompt]:
    by_text: dict[str, HardPrompt] = {}
    for prompt in prompts:
        by_text.setdefault(prompt.text, prompt)
    return list(by_text.values())
