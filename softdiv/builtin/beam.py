"""Searcher ``beam``: fluent prompts, grown token by token where the models answer differently.

Each prompt is continued by what model_1 finds likeliest in a user's turn, and by what model_2 finds
likelier than model_1 there. The first answer token screens, sampled answers keep the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge, gt
from torch import Tensor

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.searching import (
    Context,
    amplified,
    answers_cost,
    header_cost,
    mix,
    selection_cost,
    typeable,
    usual_row,
)

FEWEST = 2
"""Prompts below which there is nothing to choose from."""


@attrs.frozen(kw_only=True)
class Beam:
    """A beam of prompts of every length up to ``length``; the budget says how wide it branches."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens of the longest prompt."""
    width: int = attrs.field(default=4, validator=ge(1))
    """Prompts that are grown further."""
    alpha: float = attrs.field(default=2.0, validator=gt(0.0))
    """Strength of amplification, for the half of the tokens that model_2 finds likelier."""
    most: int = attrs.field(default=256, validator=ge(1))
    """Prompts screened per length."""
    texts: int = attrs.field(default=2, validator=ge(1))
    """User texts per length, fresh at each, for the screen and for the score."""
    response_tokens: int = attrs.field(default=6, validator=ge(1))
    """Response tokens of the score."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the best prompt of each length."""
        header = task.layout.soft(task.train[0]).before
        if not header:
            task.explain("nothing stands before a prompt, so that no model could continue it")
            return
        kept = selection_cost(usual_row(task), self.length)
        beam: list[list[int]] = [[]]
        for size in range(1, self.length + 1):
            left = (budget.remaining - kept) // (self.length + 1 - size)
            count = self._count(task, beam, size, left)
            if count < FEWEST:
                task.explain("the budget does not pay for two prompts of every length")
                return
            grown = self._grown(task, header, beam, count)
            beam = self._best(task, grown)
            if not beam:
                task.explain("no continuation gave a text that keeps its tokens")
                return
            text = task.layout.prompt_of(beam[0])
            yield HardPrompt(text=text, searcher="", note=f"grown to {size} tokens")

    def _count(self, task: SearchTask, beam: Sequence[list[int]], size: int, left: int) -> int:
        """Prompts of ``size`` tokens that ``left`` FTE pay for: grown, screened, scored."""
        slots = [task.layout.soft(example) for example in task.train[: self.texts]]
        growth = 2 * len(beam) * size
        score = answers_cost(task.pair, slots, size, self.response_tokens, 2 * self.width)
        screen = answers_cost(task.pair, slots, size, 1)
        return min(self.most, (left - growth - score - 3 * header_cost(slots)) // screen)

    def _grown(
        self, task: SearchTask, header: tuple[int, ...], beam: Sequence[list[int]], count: int
    ) -> list[list[int]]:
        """``count`` prompts a token longer, as many from each of the beam and of each kind."""
        contexts = [Context(before=(*header, *ids)) for ids in beam]
        weights = torch.tensor([amplified(self.alpha)])
        each = max(count // (2 * len(beam)), 1)
        found: list[list[int]] = []
        for ids, one, two in zip(
            beam,
            task.next_log_probs(task.pair.model_1, contexts),
            task.next_log_probs(task.pair.model_2, contexts),
            strict=True,
        ):
            two = two.to(one.device)
            loud = mix(one[None], two[None], weights.to(one.device), task.sampling.max_gap)[0]
            for scores in (one, loud):
                found += self._continued(task, ids, scores, each)
        return [list(ids) for ids in dict.fromkeys(map(tuple, found))]

    def _continued(
        self, task: SearchTask, ids: Sequence[int], scores: Tensor, count: int
    ) -> list[list[int]]:
        """The ``count`` likeliest continuations that make a text."""
        order = scores.topk(min(4 * count + 16, len(scores)))
        likely = order.indices[order.values.isfinite()].tolist()
        return typeable(task, ([*ids, token] for token in likely), count, task.train[0])

    def _best(self, task: SearchTask, grown: Sequence[list[int]]) -> list[list[int]]:
        """The beam: by the first answer token twice as many, of these by sampled answers."""
        texts = {task.layout.prompt_of(ids): ids for ids in grown}
        examples = task.texts(self.texts)
        first = task.first_bits([task.layout.hard(e, text) for text in texts for e in examples])
        size = len(examples)
        sums = [sum(first[n : n + size]) for n in range(0, len(first), size)]
        screened = dict(zip(texts, sums, strict=True))
        finalists = sorted(screened, key=lambda text: -screened[text])[: 2 * self.width]
        bits = task.score(finalists, task.texts(self.texts), self.response_tokens)
        ranked = sorted(zip(bits, finalists, strict=True), reverse=True)
        return [texts[text] for _, text in ranked[: self.width]]
