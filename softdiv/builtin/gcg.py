"""Searcher ``gcg``: greedy coordinate gradient on D, from random text and without a soft prompt.

Zou et al. (2023, arXiv:2307.15043) with the divergence of the two models on their own answers in
place of a target's likelihood: what a search needs to beat that knows nothing of the pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge
from torch import Tensor

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.searching import (
    AnsweredPrompt,
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
)

FEWEST = 4
"""Swaps below which a step is not worth its gradient."""


@attrs.frozen(kw_only=True)
class Gcg:
    """Swaps one token a step, starts again when nothing is better, until its budget is spent."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens of a prompt."""
    candidates: int = attrs.field(default=16, validator=ge(1))
    """Swaps scored per step; fewer where the budget ends."""
    top_k: int = attrs.field(default=64, validator=ge(1))
    """Replacements per position among which they are drawn, those the gradient likes best."""
    texts: int = attrs.field(default=2, validator=ge(1))
    """User texts per step, fresh at every step."""
    response_tokens: int = attrs.field(default=6, validator=ge(1))
    """Response tokens scored, of answers to every swap of its own."""
    patience: int = attrs.field(default=4, validator=ge(1))
    """Steps without a better swap after which it starts again from another random text."""
    prompts: int = attrs.field(default=2, validator=ge(1))
    """Prompts of each start, the last ones."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the last prompts of each start when it ends."""
        tokens = printable_tokens(task)
        if len(tokens) == 0:
            task.explain("the tokenizer has no tokens of printable ASCII")
            return
        row, given = usual_row(task), 0
        for start in itertools.count():
            salt = f"gcg:{start}"
            ids = random_prompt(task, tokens, self.length, task.train[0], salt)
            if ids is None:
                task.explain(f"no {self.length} random tokens made a text that keeps its tokens")
                return
            kept = selection_cost(row, given + self.prompts)
            trail = list(self._descent(task, budget, kept, ids, tokens, salt))
            if not trail:
                task.explain("the budget does not pay for a step")
                return
            for prompt in reversed(trail[-self.prompts :]):
                given += 1
                yield HardPrompt(
                    text=task.layout.prompt_of(prompt.ids),
                    searcher="",
                    note=f"{len(trail)} swaps from a random text",
                )

    def _descent(
        self,
        task: SearchTask,
        budget: Budget,
        kept: int,
        ids: list[int],
        tokens: Tensor,
        salt: str,
    ) -> Iterator[AnsweredPrompt]:
        """Every better prompt on the way, ``kept`` FTE being left for the choice among them."""
        idle = 0
        for step in itertools.count():
            examples = task.texts(self.texts)
            slots = [task.layout.soft(example) for example in examples]
            each = answers_cost(task.pair, slots, len(ids), self.response_tokens)
            fixed = each + gradient_cost(task.pair, slots, len(ids), self.response_tokens)
            left = budget.remaining - kept - fixed - 3 * header_cost(slots)
            count = min(self.candidates, left // each)
            if count < min(FEWEST, self.candidates) or idle == self.patience:
                return
            name = f"{salt}:{step}"
            (now,) = answered(task, [ids], examples, self.response_tokens, name)
            gains = swap_gains(task.pair.model_1, bits_gradient(task, now), ids, tokens)
            trials = likely_swaps(task, ids, gains, tokens, self.top_k, count, examples[0], name)
            tried = answered(task, trials, examples, self.response_tokens, name)
            best = max([now, *tried], key=lambda prompt: prompt.bits)
            idle = idle + 1 if best is now else 0
            if best is not now:
                ids = list(best.ids)
                yield best
