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

from softdiv import Budget, Example, HardPrompt, SearchTask
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

CHOSEN_FROM = 3
"""Prompts proposed, for whose comparison budget is left."""


@attrs.frozen(kw_only=True)
class Beam:
    """A beam of prompts of every length up to ``length``; the budget says how wide it branches."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens of the longest prompt; fewer where the budget is small."""
    width: int = attrs.field(default=4, validator=ge(1))
    """Prompts that are grown further."""
    alpha: float = attrs.field(default=2.0, validator=gt(0.0))
    """Strength of amplification, for the half of the tokens that model_2 finds likelier."""
    fewest: int = attrs.field(default=48, validator=ge(2))
    """Prompts screened per length, at least."""
    most: int = attrs.field(default=256, validator=ge(2))
    """And at most."""
    screen_texts: int = attrs.field(default=1, validator=ge(1))
    """User texts per length, fresh at each, beside which the first answer token is looked at."""
    texts: int = attrs.field(default=2, validator=ge(1))
    """User texts per length, fresh at each, of the score."""
    response_tokens: int = attrs.field(default=6, validator=ge(1))
    """Response tokens of the score."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the best of the best prompts of each length."""
        header = task.layout.soft(task.train[0]).before
        if not header:
            task.explain("nothing stands before a prompt, so that no model could continue it")
            return
        kept = selection_cost(usual_row(task), CHOSEN_FROM)
        longest = sorted(task.train[:64], key=lambda e: len(task.layout.hard(e)))
        fixed, each = self._costs(task, longest[-self.screen_texts :], longest[-self.texts :])
        length = min(self.length, (budget.remaining - kept) // (fixed + self.fewest * each))
        if length < 1:
            task.explain(f"the budget does not pay for {self.fewest} prompts of one token")
        beam: list[list[int]] = [[]]
        found: list[tuple[float, HardPrompt]] = []
        for size in range(1, length + 1):
            screen, judge = task.texts(self.screen_texts), task.texts(self.texts)
            fixed, each = self._costs(task, screen, judge)
            left = (budget.remaining - kept) // (length + 1 - size)
            count = max(min(self.most, (left - fixed) // each), 2 * len(beam))
            grown = self._grown(task, header, beam, count)
            beam, bits = self._best(task, grown, screen, judge)
            if not beam:
                task.explain("no continuation gave a text that keeps its tokens")
                break
            text, note = task.layout.prompt_of(beam[0]), f"grown to {size} tokens"
            found.append((bits, HardPrompt(text=text, searcher="", note=note)))
        found.sort(key=lambda one: -one[0])
        yield from (prompt for _, prompt in found[:CHOSEN_FROM])

    def _costs(
        self, task: SearchTask, screen: Sequence[Example], judge: Sequence[Example]
    ) -> tuple[int, int]:
        """FTE of growing and scoring at one length, and of each prompt screened, at most."""
        slots, screened = ([task.layout.soft(e) for e in part] for part in (judge, screen))
        score = answers_cost(task.pair, slots, self.length, self.response_tokens, 2 * self.width)
        growth = 2 * self.width * self.length + 3 * header_cost(slots)
        return growth + score, answers_cost(task.pair, screened, self.length, 1)

    def _grown(
        self, task: SearchTask, header: tuple[int, ...], beam: Sequence[list[int]], count: int
    ) -> list[list[int]]:
        """``count`` prompts a token longer, as many from each of the beam."""
        contexts = [Context(before=(*header, *ids)) for ids in beam]
        found: list[list[int]] = []
        for ids, one, two in zip(
            beam,
            task.next_log_probs(task.pair.model_1, contexts),
            task.next_log_probs(task.pair.model_2, contexts),
            strict=True,
        ):
            likely = self._likely(one, two.to(one.device), task.sampling.max_gap)
            longer = ([*ids, token] for token in likely)
            shown = (trial for trial in longer if task.layout.prompt_of(trial).isprintable())
            found += typeable(task, shown, count // len(beam), task.train[0])
        return found

    def _likely(self, one: Tensor, two: Tensor, max_gap: float) -> list[int]:
        """Next tokens, model_1's likeliest and the amplified difference's in turn."""
        weights = torch.tensor([amplified(self.alpha)], device=one.device)
        loud = mix(one[None], two[None], weights, max_gap)[0]
        size = min(4 * self.most, len(one))
        best_1, best_loud = (scores.topk(size).indices.tolist() for scores in (one, loud))
        kept = set(loud.isfinite().nonzero()[:, 0].tolist())
        pairs = zip(best_1, best_loud, strict=True)
        both = (token for a, b in pairs for token in ((a, b) if b in kept else (a,)))
        return list(dict.fromkeys(both))

    def _best(
        self,
        task: SearchTask,
        grown: Sequence[list[int]],
        screen: Sequence[Example],
        judge: Sequence[Example],
    ) -> tuple[list[list[int]], float]:
        """The beam and D of its best: screened by the first answer token, then by answers."""
        texts = {task.layout.prompt_of(ids): ids for ids in grown}
        first = task.first_bits([task.layout.hard(e, text) for text in texts for e in screen])
        size = len(screen)
        sums = [sum(first[n : n + size]) for n in range(0, len(first), size)]
        screened = dict(zip(texts, sums, strict=True))
        finalists = sorted(screened, key=lambda text: -screened[text])[: 2 * self.width]
        bits = task.score(finalists, judge, self.response_tokens)
        ranked = sorted(zip(bits, finalists, strict=True), reverse=True)
        return [texts[text] for _, text in ranked[: self.width]], max(bits, default=0.0)
