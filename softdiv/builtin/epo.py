"""Searcher ``epo``: evolutionary prompt optimisation of D against fluency.

Thompson et al. (2024, arXiv:2402.01702): a population, one member for each price of fluency, every
one the best at its own price; together they stand on the Pareto front of D and model_1's surprise.
Their restarts, every thirty iterations, are left out: no budget here pays for as many.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import attrs
from attrs.validators import deep_iterable, ge, min_len
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.searching import (
    AnsweredPrompt,
    Context,
    answered,
    answers_cost,
    bits_gradient,
    gradient_cost,
    header_cost,
    likely_swaps,
    printable_tokens,
    random_prompt,
    selection_cost,
    surprise_gains,
    surprises,
    swap_gains,
    usual_row,
    word_tokens,
)

FEWEST = 2
"""Children below which a member is not worth its gradient."""


@attrs.frozen(kw_only=True)
class Epo:
    """Evolves as many members as its budget gives ``rounds`` rounds to."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens of a prompt."""
    prices: tuple[float, ...] = attrs.field(
        default=(0.03, 0.0, 0.01, 0.1), validator=[min_len(1), deep_iterable(ge(0.0))]
    )
    """Bits of D given up per nat per token of model_1's surprise, one member of the population
    each; the first of them where the budget is small."""
    rounds: int = attrs.field(default=6, validator=ge(1))
    """Rounds that the budget must give to each member beyond the first."""
    children: int = attrs.field(default=8, validator=ge(1))
    """Swaps scored per member and round; fewer where the budget ends."""
    top_k: int = attrs.field(default=64, validator=ge(1))
    """Replacements per position among which they are drawn, those the gradients like best."""
    words_only: bool = False
    """Only tokens of letters that begin a word, as ``gradient_swaps`` has them."""
    texts: int = attrs.field(default=2, validator=ge(1))
    """User texts per round, fresh in every round."""
    response_tokens: int = attrs.field(default=6, validator=ge(1))
    """Response tokens scored, of answers to every prompt of its own."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the last population, each prompt once, the prices in their order."""
        tokens = word_tokens(task) if self.words_only else printable_tokens(task)
        prices = self._affordable(task, budget)
        drawn = [
            random_prompt(task, tokens, self.length, task.train[0], f"epo:{price}")
            for price in prices
        ]
        population = [ids for ids in drawn if ids is not None]
        if len(population) < len(prices):
            task.explain(f"no {self.length} tokens made a text that keeps its tokens")
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
        slots = [task.layout.soft(example) for example in task.train[: self.texts]]
        fixed, each = self._costs(task, slots)
        member, row = self.rounds * (fixed + self.children * each), usual_row(task)
        sizes = range(len(self.prices), 1, -1)
        enough = (n for n in sizes if n * member + selection_cost(row, n) <= budget.remaining)
        return self.prices[: next(enough, 1)]

    def _costs(self, task: SearchTask, slots: Sequence[Context]) -> tuple[int, int]:
        """FTE of a member's own answers and gradients, and of each of its children."""
        answer = answers_cost(task.pair, slots, self.length, self.response_tokens) + self.length
        gradient = gradient_cost(task.pair, slots, self.length, self.response_tokens)
        fluency = 3 * self.length
        return answer + gradient + fluency + 4 * header_cost(slots), answer

    def _count(self, task: SearchTask, examples: Sequence[Example], left: int, members: int) -> int:
        """Children of each member that ``left`` FTE pay for."""
        slots = [task.layout.soft(example) for example in examples]
        fixed, each = self._costs(task, slots)
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
