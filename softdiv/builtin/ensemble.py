"""Searcher ``ensemble``, the default: several searchers on one budget, by successive halving."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import and_, ge, gt, le

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.builtin.answer_words import Amplified, SoftAnswers
from softdiv.builtin.cache_lens import CacheLens
from softdiv.builtin.contrastive import Contrastive
from softdiv.builtin.gradient_swaps import GradientSwaps
from softdiv.builtin.ppl_gap import PplGap
from softdiv.builtin.weight_lens import WeightLens
from softdiv.searching import (
    FteBudget,
    Round,
    in_turn,
    selection_cost,
    successive_halving,
    usual_row,
)

Arm = Literal[
    "amplified",
    "soft_answers",
    "ppl_gap",
    "contrastive",
    "weight_lens",
    "cache_lens",
    "gradient_swaps",
]
CHEAP = ("amplified", "soft_answers", "ppl_gap", "contrastive")
"""What models say, with or without words for it; more of it may be drawn again."""
LENSES = ("weight_lens", "cache_lens")
"""The whole vocabulary, once; the next only where the one before could not look."""
SCREEN = (Round(texts=2, tokens=6, keep=12),)
IDLE = 0.02
"""Share of the budget below which a searcher has done nothing."""


@attrs.frozen(kw_only=True)
class Ensemble:
    """Searchers share candidates. Those that draw answers begin, each with a small share; a lens
    has the rest; what is left goes by halving to those whose candidates did best."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    arms: tuple[Arm, ...] = ("amplified", "soft_answers", "ppl_gap", *LENSES, "gradient_swaps")
    """Searchers, in the order in which they are asked."""
    share: float = attrs.field(default=0.1, validator=and_(gt(0.0), le(0.5)))
    """Of the budget, at most, for each searcher that draws answers, at first."""
    prompts: int = attrs.field(default=8, validator=ge(1))
    """Candidates that go on, of all searchers together."""
    amplified: Amplified = attrs.field(factory=lambda: Amplified(words=6, user_turns=6))
    soft_answers: SoftAnswers = attrs.field(factory=lambda: SoftAnswers(words=6))
    ppl_gap: PplGap = attrs.field(factory=PplGap)
    contrastive: Contrastive = attrs.field(factory=Contrastive)
    weight_lens: WeightLens = attrs.field(factory=WeightLens)
    cache_lens: CacheLens = attrs.field(factory=CacheLens)
    gradient_swaps: GradientSwaps = attrs.field(factory=GradientSwaps)

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the best of all, best first."""
        reserve = selection_cost(usual_row(task), self.prompts)
        total, found = budget.remaining, dict[str, HardPrompt]()
        looked = False
        for name in (arm for arm in self.arms if arm in CHEAP + LENSES):
            left = budget.remaining - reserve
            if name in CHEAP:
                found |= self._asked(name, task, min(int(self.share * total), left))
            elif not looked:
                before = budget.remaining
                found |= self._asked(name, task, left)
                looked = before - budget.remaining > IDLE * total
        ranked = self._ranked(task, budget, found)
        again = [arm for arm in self.arms if arm in (*CHEAP, "gradient_swaps")]
        for turn in range(1, len(again) + 1):
            again = _better_half(again, ranked)
            left = budget.remaining - reserve - selection_cost(usual_row(task), self.prompts)
            if left < IDLE * total:
                break
            fresh = attrs.evolve(task, seed=task.seed + turn, best=ranked)
            more: dict[str, HardPrompt] = {}
            for name in again:
                more |= self._asked(name, fresh, left // len(again))
            found = {p.text: p for p in ranked} | more
            ranked = self._ranked(task, budget, found)
            if len(again) == 1:
                break
        yield from ranked

    def _asked(self, name: str, task: SearchTask, limit: int) -> dict[str, HardPrompt]:
        """What one searcher proposes, by text."""
        if limit <= 0:
            return {}
        searcher: Any = getattr(self, name)
        own = FteBudget(task.pair.ledger, limit)
        return {
            prompt.text: attrs.evolve(prompt, searcher=name, note=f"{name}: {prompt.note}")
            for prompt in searcher(task, own)
            if task.usable(prompt.text)
        }

    def _ranked(
        self, task: SearchTask, budget: Budget, found: dict[str, HardPrompt]
    ) -> list[HardPrompt]:
        rounds = [attrs.evolve(one, keep=self.prompts) for one in SCREEN]
        return successive_halving(task, in_turn(list(found.values())), budget, rounds)


def _better_half(arms: list[Arm], ranked: list[HardPrompt]) -> list[Arm]:
    """Those whose best candidate ranks highest, rounded up; one with none comes last, swaps with
    the best, from which they start."""
    names = [prompt.searcher for prompt in ranked]

    def place(arm: str) -> int:
        if arm == "gradient_swaps":
            return 0
        return names.index(arm) if arm in names else len(names)

    return sorted(arms, key=place)[: (len(arms) + 1) // 2]
