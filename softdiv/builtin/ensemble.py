"""Searcher ``ensemble``, the default: several searchers on one budget, by successive halving."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import and_, ge, gt, le

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.builtin.answer_words import Amplified, SoftAnswers
from softdiv.builtin.cache_lens import CacheLens
from softdiv.builtin.contrastive import Contrastive
from softdiv.builtin.forms import Forms
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
    "forms",
    "ppl_gap",
    "contrastive",
    "weight_lens",
    "cache_lens",
    "gradient_swaps",
]
CHEAP: tuple[Arm, ...] = ("forms", "amplified", "soft_answers", "ppl_gap", "contrastive")
"""They read what the models say; more of it may be drawn again."""
LENSES: tuple[Arm, ...] = ("weight_lens", "cache_lens")
"""They look through the vocabulary once; the second only where the first could not look."""
SCREEN = Round(texts=2, tokens=6, keep=24)
SCREENED = 20
"""Candidates whose screening is kept money for."""
MOST_KEPT = 0.3
"""Of the budget, for screening and choosing."""
IDLE = 0.02
"""Share of the budget below which a searcher has done nothing."""


@attrs.frozen(kw_only=True)
class Ensemble:
    """Searchers share candidates. Those that draw answers begin, each with a small share; a lens
    has the rest; what it leaves goes by halving to those whose candidates did best, and to swaps
    of the best prompt's tokens."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    by_text: ClassVar[bool] = True
    arms: tuple[Arm, ...] = (
        "forms",
        "amplified",
        "soft_answers",
        "ppl_gap",
        *LENSES,
        "gradient_swaps",
    )
    """Searchers, in the order in which they are asked."""
    share: float = attrs.field(default=0.1, validator=and_(gt(0.0), le(0.5)))
    """Of the budget, at most, for each searcher that draws answers, at first."""
    candidates: int = attrs.field(default=8, validator=ge(1))
    """Of each searcher, the first ones."""
    prompts: int = attrs.field(default=5, validator=ge(1))
    """Candidates that go on, of all searchers together."""
    amplified: Amplified = attrs.field(factory=lambda: Amplified(words=6, user_turns=6))
    soft_answers: SoftAnswers = attrs.field(factory=lambda: SoftAnswers(words=6))
    forms: Forms = attrs.field(factory=Forms)
    ppl_gap: PplGap = attrs.field(factory=PplGap)
    contrastive: Contrastive = attrs.field(factory=Contrastive)
    weight_lens: WeightLens = attrs.field(factory=WeightLens)
    cache_lens: CacheLens = attrs.field(factory=CacheLens)
    gradient_swaps: GradientSwaps = attrs.field(factory=GradientSwaps)

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the best of all, best first."""
        if task.by_text:
            self = self._of_texts(task)
        total, row = budget.remaining, usual_row(task)
        screening = 2 * SCREENED * SCREEN.texts * (row + SCREEN.tokens)
        reserve = min(screening + selection_cost(row, self.prompts), int(MOST_KEPT * total))
        found: dict[str, HardPrompt] = {}
        looked = False
        for name in (arm for arm in self.arms if arm in (*CHEAP, *LENSES)):
            left = budget.remaining - reserve
            if name in CHEAP:
                found |= self._asked(name, task, min(int(self.share * total), left))
            elif not looked:
                before = budget.remaining
                found |= self._asked(name, task, left)
                looked = before - budget.remaining > IDLE * total
        ranked = _ranked(task, budget, found)
        drawing = [arm for arm in self.arms if arm in CHEAP]
        refining = [arm for arm in self.arms if arm == "gradient_swaps"]
        turn, left = 0, budget.remaining - reserve
        while (drawing or refining) and left > IDLE * total:
            turn, drawing = turn + 1, _better_half(drawing, ranked)
            fresh = attrs.evolve(task, seed=task.seed + turn, best=ranked)
            more: dict[str, HardPrompt] = {}
            for name in (*drawing, *refining):
                more |= self._asked(name, fresh, left // len([*drawing, *refining]))
            ranked = _ranked(task, budget, {p.text: p for p in ranked[: self.prompts]} | more)
            if len(drawing) < 2:
                break
            left = budget.remaining - reserve
        yield from ranked[: self.prompts]

    def _of_texts(self, task: SearchTask) -> Ensemble:
        """With the searchers that need texts alone."""
        kept = tuple(arm for arm in self.arms if getattr(getattr(self, arm), "by_text", False))
        if lost := [arm for arm in self.arms if arm not in kept]:
            task.left_out(f"ensemble: {', '.join(lost)}")
        return attrs.evolve(self, arms=kept)

    def _asked(self, name: str, task: SearchTask, limit: int) -> dict[str, HardPrompt]:
        """The first proposals of one searcher, by text."""
        if limit <= 0:
            return {}
        searcher: Any = getattr(self, name)
        own = FteBudget(task.pair.ledger, limit)
        proposed = (p for p in searcher(task, own) if task.usable(p.text))
        return {
            prompt.text: attrs.evolve(prompt, searcher=name, note=f"{name}: {prompt.note}")
            for prompt in itertools.islice(proposed, self.candidates)
        }


def _ranked(task: SearchTask, budget: Budget, found: dict[str, HardPrompt]) -> list[HardPrompt]:
    return successive_halving(task, in_turn(list(found.values())), budget, (SCREEN,))


def _better_half(arms: list[Arm], ranked: list[HardPrompt]) -> list[Arm]:
    """Those whose best candidate ranks highest, rounded up; one with none comes last."""
    names = [prompt.searcher for prompt in ranked]

    def place(arm: str) -> int:
        return names.index(arm) if arm in names else len(names)

    return sorted(arms, key=place)[: (len(arms) + 1) // 2]
