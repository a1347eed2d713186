"""Searcher ``gcg``: greedy coordinate gradient on D, from random text and without a soft prompt.

Zou et al. (2023, arXiv:2307.15043) with the divergence of the two models on their own answers in
place of a target's likelihood: what a search needs to beat that knows nothing of the pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.searching import (
    answered,
    answers_cost,
    bits_gradient,
    gradient_cost,
    header_cost,
    likely_swaps,
    printable_tokens,
    random_prompt,
    selection_cost,
    swap_gains,
    usual_row,
    word_tokens,
)

FEWEST = 4
"""Swaps below which a step is not worth its gradient."""


@attrs.frozen(kw_only=True)
class RandomStart:
    """A searcher that begins with random text and swaps tokens by the gradient of D."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens of a prompt."""
    top_k: int = attrs.field(default=64, validator=ge(1))
    """Replacements per position among which swaps are drawn, those the gradient likes best."""
    words_only: bool = False
    """Only tokens of letters that begin a word, as ``gradient_swaps`` has them."""
    texts: int = attrs.field(default=2, validator=ge(1))
    """User texts per step, fresh at every step."""
    response_tokens: int = attrs.field(default=6, validator=ge(1))
    """Response tokens scored, of answers to every prompt of its own."""

    def tokens(self, task: SearchTask) -> Tensor:
        """``[W]`` ids that prompts are made of."""
        return word_tokens(task) if self.words_only else printable_tokens(task)

    def random(self, task: SearchTask, tokens: Tensor, salt: str) -> list[int] | None:
        """A start; None, with the reason told, where no tokens make one."""
        ids = random_prompt(task, tokens, self.length, task.train[0], salt)
        if ids is None:
            task.explain(f"no {self.length} tokens made a text that keeps its tokens")
        return ids

    def costs(self, task: SearchTask, examples: Sequence[Example]) -> tuple[int, int, int]:
        """FTE of answers to a prompt, of the gradient at it, and of what comes before a prompt."""
        slots = [task.layout.soft(example) for example in examples]
        answer = answers_cost(task.pair, slots, self.length, self.response_tokens)
        gradient = gradient_cost(task.pair, slots, self.length, self.response_tokens)
        return answer, gradient, header_cost(slots)


@attrs.frozen(kw_only=True)
class Gcg(RandomStart):
    """Swaps one token a step, starts again when nothing is better, until its budget is spent."""

    candidates: int = attrs.field(default=16, validator=ge(1))
    """Swaps scored per step; fewer where the budget ends."""
    patience: int = attrs.field(default=4, validator=ge(1))
    """Steps without a better swap after which it starts again from another random text."""
    prompts: int = attrs.field(default=2, validator=ge(1))
    """Prompts of each start, the last ones."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the last prompts of each start when it ends."""
        tokens, row = self.tokens(task), usual_row(task)
        start = idle = given = 0
        ids = self.random(task, tokens, "gcg:start 0")
        trail: list[list[int]] = []
        for step in itertools.count():
            if ids is None:
                return
            examples = task.texts(self.texts)
            left = budget.remaining - selection_cost(row, given + self.prompts)
            count = self._affordable(task, examples, left)
            if count < min(FEWEST, self.candidates):
                task.explain("no swap was better" if step else "the budget pays for no step")
                break
            better = self._step(task, ids, examples, tokens, count, f"gcg:{step}")
            if better is not None:
                ids, idle = better, 0
                trail.append(better)
                continue
            idle += 1
            if idle == self.patience:
                last = self._last(task, trail)
                yield from last
                given += len(last)
                start, idle, trail = start + 1, 0, []
                ids = self.random(task, tokens, f"gcg:start {start}")
        yield from self._last(task, trail)

    def _affordable(self, task: SearchTask, examples: Sequence[Example], left: int) -> int:
        """Swaps that a step of ``left`` FTE can score."""
        each, gradient, header = self.costs(task, examples)
        return min(self.candidates, (left - each - gradient - 3 * header) // each)

    def _step(
        self,
        task: SearchTask,
        ids: list[int],
        examples: Sequence[Example],
        tokens: Tensor,
        count: int,
        salt: str,
    ) -> list[int] | None:
        """The best of ``count`` swaps, if it is better."""
        (now,) = answered(task, [ids], examples, self.response_tokens, salt)
        gains = swap_gains(task.pair.model_1, bits_gradient(task, now), ids, tokens)
        trials = likely_swaps(task, ids, gains, tokens, self.top_k, count, examples[0], salt)
        tried = answered(task, trials, examples, self.response_tokens, salt)
        best = max([now, *tried], key=lambda prompt: prompt.bits)
        return None if best is now else list(best.ids)

    def _last(self, task: SearchTask, trail: Sequence[list[int]]) -> list[HardPrompt]:
        note = f"{len(trail)} swaps from a random text"
        texts = [task.layout.prompt_of(ids) for ids in reversed(trail[-self.prompts :])]
        return [HardPrompt(text=text, searcher="", note=note) for text in texts]
