"""Searcher ``epo``: evolutionary prompt optimisation of D against fluency.

Thompson et al. (2024, arXiv:2402.01702): a population, one member for each price of fluency, every
one the best at its own price; together they stand on the Pareto front of D and model_1's surprise.
Their restarts, every thirty iterations, are left out: no budget here pays for as many.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import attrs
from attrs.validators import deep_iterable, ge, min_len
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.builtin.gcg import RandomStart
from softdiv.searching import (
    AnsweredPrompt,
    answered,
    bits_gradient,
    likely_swaps,
    selection_cost,
    surprise_gains,
    surprises,
    swap_gains,
    usual_row,
)

FEWEST = 2
"""Children below which a member is not worth its gradient."""


@attrs.frozen(kw_only=True)
class Epo(RandomStart):
    """Evolves as many members as its budget gives ``rounds`` rounds to."""

    prices: tuple[float, ...] = attrs.field(
        default=(0.03, 0.0, 0.01, 0.1), validator=[min_len(1), deep_iterable(ge(0.0))]
    )
    """Bits of D given up per nat per token of model_1's surprise, one member of the population
    each; the first of them where the budget is small."""
    rounds: int = attrs.field(default=6, validator=ge(1))
    """Rounds that the budget must give to each member beyond the first."""
    children: int = attrs.field(default=8, validator=ge(1))
    """Swaps scored per member and round; fewer where the budget ends."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the last population, each prompt once, the prices in their order."""
        tokens, prices = self.tokens(task), self._affordable(task, budget)
        drawn = [self.random(task, tokens, f"epo:{price}") for price in prices]
        population = [ids for ids in drawn if ids is not None]
        if len(population) < len(prices):
            return
        kept = selection_cost(usual_row(task), len(prices))
        for number in itertools.count():
            examples = task.texts(self.texts)
            count = self._count(task, examples, budget.remaining - kept, len(prices))
            if count < min(FEWEST, self.children):
                break
            population = self._round(task, prices, population, examples, tokens, count, number)
        if number == 0:
            task.explain("the budget pays for no round")
            return
        best_at: dict[tuple[int, ...], list[str]] = {}
        for price, member in zip(prices, population, strict=True):
            best_at.setdefault(tuple(member), []).append(f"{price:g}")
        for ids, at in best_at.items():
            note = f"{number} rounds, best at price {' and '.join(at)}"
            yield HardPrompt(text=task.layout.prompt_of(ids), searcher="", note=note)

    def _affordable(self, task: SearchTask, budget: Budget) -> tuple[float, ...]:
        fixed, each = self._member_costs(task, task.train[: self.texts])
        member, row = self.rounds * (fixed + self.children * each), usual_row(task)
        sizes = range(len(self.prices), 1, -1)
        enough = (n for n in sizes if n * member + selection_cost(row, n) <= budget.remaining)
        return self.prices[: next(enough, 1)]

    def _member_costs(self, task: SearchTask, examples: Sequence[Example]) -> tuple[int, int]:
        """FTE of a member's own answers and gradients, and of each of its children."""
        answer, gradient, header = self.costs(task, examples)
        each, fluency = answer + self.length, 3 * self.length
        return each + gradient + fluency + 4 * header, each

    def _count(self, task: SearchTask, examples: Sequence[Example], left: int, members: int) -> int:
        """Children of each member that ``left`` FTE pay for."""
        fixed, each = self._member_costs(task, examples)
        return min(self.children, (left // members - fixed) // each)

    def _round(
        self,
        task: SearchTask,
        prices: Sequence[float],
        population: Sequence[list[int]],
        examples: Sequence[Example],
        tokens: Tensor,
        count: int,
        number: int,
    ) -> list[list[int]]:
        """The next population: at each price the best of all parents and children."""
        model, before = task.pair.model_1, task.layout.soft(task.train[0]).before
        distinct = _once(population)
        parents = answered(task, distinct, examples, self.response_tokens, f"epo:{number}")
        of_bits = {
            prompt.ids: swap_gains(model, bits_gradient(task, prompt), prompt.ids, tokens)
            for prompt in parents
        }
        children: list[list[int]] = []
        for price, ids in zip(prices, population, strict=True):
            gains = of_bits[tuple(ids)]
            if price:
                gains = gains - price * surprise_gains(model, before, ids, tokens)
            salt = f"epo:{number}:{price}"
            children += likely_swaps(task, ids, gains, tokens, self.top_k, count, examples[0], salt)
        fresh = [ids for ids in _once(children) if tuple(ids) not in of_bits]
        everyone = parents + answered(task, fresh, examples, self.response_tokens, f"epo:{number}")
        odd = surprises(task, before, [prompt.ids for prompt in everyone])
        scored = list(zip(everyone, odd, strict=True))
        return [list(_best(scored, price).ids) for price in prices]


def _best(scored: Sequence[tuple[AnsweredPrompt, float]], price: float) -> AnsweredPrompt:
    return max(scored, key=lambda pair: pair[0].bits - price * pair[1])[0]


def _once(prompts: Sequence[list[int]]) -> list[list[int]]:
    return [list(ids) for ids in dict.fromkeys(map(tuple, prompts))]
