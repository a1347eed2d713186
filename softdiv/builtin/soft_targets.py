"""Searcher ``soft_targets``: words that make model_2 answer as it does under the soft prompt.

A trained soft prompt has no words, its answers have: the openings that are typical of them and
that neither model gives to plain texts. Which words of the vocabulary bring model_2 to those is
found by group testing, on model_2 alone; no weights are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import attrs
import torch
from attrs.validators import ge, in_
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.searching import (
    FROM_MODEL_2,
    LOOK_SHARE,
    Answer,
    WordSearcher,
    affordable_lists,
    amplified,
    group_tested,
    suspectable,
)

SOURCES = ("soft", "amplified", "plain")
JUDGED_ON = 3
"""User texts on which an answer is judged typical."""
NEAR = 0.5
"""Nats within the best, where a longer opening is taken: it says more of what is meant."""
TARGET_SHARE = 0.15
"""Of the budget, for finding the targets."""
SLOT = 6
"""Positions that a soft prompt usually takes."""


@attrs.frozen(kw_only=True)
class SoftTargets(WordSearcher):
    """Needs a trained soft prompt; without one it takes amplified answers in its place."""

    source: Literal["soft", "amplified", "plain"] = attrs.field(
        default="soft", validator=in_(SOURCES)
    )
    """Whose answers are the targets: model_2's under the soft prompt, amplified ones (from
    log p2 + alpha (log p2 - log p1)), or model_2's to plain texts, which shows what the soft
    prompt adds."""
    alpha: float = attrs.field(default=4.0, validator=ge(0.0))
    """Strength of amplification."""
    target_tokens: int = attrs.field(default=6, validator=ge(1))
    """Tokens of an answer's opening."""
    targets: int = attrs.field(default=1, validator=ge(1))
    """Openings that words are tested for."""
    list_words: int = attrs.field(default=32, validator=ge(1))
    """Words of the longest lists; shorter ones where the budget pays for them."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first."""
        source = self.source
        if source == "soft" and task.soft_prompt is None:
            task.explain("no soft prompt was trained: amplified answers were the targets")
            source = "amplified"
        targets = self._targets(task, budget, source) if budget.remaining else []
        if not targets:
            return
        limit = int(budget.remaining * LOOK_SHARE)
        count, longest = affordable_lists(
            task, limit, self.vocabulary, self.list_words, self.words, targets
        )
        words = suspectable(task, count, limit)
        if not words:
            task.explain("the budget pays for no words, or the tokenizer has none")
            return
        suspects = group_tested(task, budget, words, targets, longest, self.words)
        yield from self.prompts_of(task, budget, suspects, f"{source} answers")

    def _targets(self, task: SearchTask, budget: Budget, source: str) -> list[Answer]:
        """The openings most typical of the source's answers, and least of plain ones."""
        examples = task.texts(self._affordable_answers(task, budget))
        soft = task.soft_prompt if source == "soft" else None
        place = task.layout.hard if soft is None else task.layout.soft
        contexts = [place(example) for example in examples]
        weights = amplified(self.alpha) if source == "amplified" else FROM_MODEL_2
        keys = [f"target:{example.id}" for example in examples]
        openings: dict[Answer, None] = {}
        for result in task.sample(contexts, [weights] * len(keys), keys, self.target_tokens, soft):
            for row in range(len(result.lengths)):
                openings.setdefault(tuple(result.answer(row)))
        if budget.remaining == 0:
            task.explain("the budget was spent on the answers that were to be the targets")
            return []
        found: dict[Answer, float] = {}
        for opening, gains in self._gains(task, list(openings), examples[:JUDGED_ON], soft):
            best = max(gains)
            length = max(n for n, gain in enumerate(gains, 1) if gain >= best - NEAR)
            found[opening[:length]] = max(best, found.get(opening[:length], best))
        return sorted(found, key=lambda opening: -found[opening])[: self.targets]

    def _affordable_answers(self, task: SearchTask, budget: Budget) -> int:
        """As many as are configured, or as a share of the budget pays for."""
        slots = [task.layout.soft(example) for example in task.train[:16]]
        row = sum(len(slot.after) for slot in slots) // max(len(slots), 1) + SLOT
        each = (row + self.target_tokens) * (2 + 3 * JUDGED_ON)  # sampled by two, scored thrice
        most = min(task.config.num_generations_per_prompt, len(task.train))
        return max(1, min(most, int(TARGET_SHARE * budget.remaining) // each))

    def _gains(
        self,
        task: SearchTask,
        openings: Sequence[Answer],
        examples: Sequence[Example],
        soft: Tensor | None,
    ) -> Iterator[tuple[Answer, list[float]]]:
        """Each opening, with nats by which its first tokens, one or more, are likelier where the
        answers come from than they are plainly."""
        pair, layout, sampler = task.pair, task.layout, task.sampler
        items = [(opening, example) for opening in openings for example in examples]
        answers = [opening for opening, _ in items]
        plain = [layout.hard(example) for _, example in items]
        one = sampler.log_likelihoods(pair.model_1, plain, answers)
        typical = two = sampler.log_likelihoods(pair.model_2, plain, answers)
        usual = [a.cumsum(0) for a in one]  # amplified and plain answers are model_2's own
        if soft is not None:
            slots = [layout.soft(example) for _, example in items]
            typical = sampler.log_likelihoods(pair.model_2, slots, answers, soft)
            usual = [torch.maximum(a.cumsum(0), b.cumsum(0)) for a, b in zip(one, two, strict=True)]
        gains = [t.cumsum(0) - u for t, u in zip(typical, usual, strict=True)]
        for place, opening in enumerate(openings):
            mean = torch.stack(gains[place * len(examples) :][: len(examples)]).mean(dim=0)
            yield opening, mean.tolist()
