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
    answer_log_probs,
    group_tested,
    vocabulary_words,
)

SOURCES = ("soft", "amplified", "plain")
JUDGED_ON = 3
"""User texts on which an answer is judged typical."""


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
    vocabulary: int = attrs.field(default=32_768, validator=ge(1))
    """Words looked at, the vocabulary's first."""
    list_words: int = attrs.field(default=32, validator=ge(1))
    """Words of the longest lists; shorter ones where the budget pays for them."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first."""
        targets = self._targets(task, budget)
        if not targets:
            return
        spelled = vocabulary_words(task)[: self.vocabulary]
        limit = int(budget.remaining * LOOK_SHARE)
        count, longest = affordable_lists(
            task, limit, len(spelled), self.list_words, self.words, targets
        )
        if count == 0:
            task.explain("the budget pays for no words, or the tokenizer has none")
            return
        best = group_tested(
            task, budget, [(i,) for i, _ in spelled[:count]], targets, longest, self.words
        )
        suspects = {spelled[place][1]: (spelled[place][0],) for place in best}
        yield from self.prompts_of(task, budget, suspects, f"{self.source} answers")

    def _targets(self, task: SearchTask, budget: Budget) -> list[Answer]:
        """The openings most typical of the source's answers, and least of plain ones."""
        source = self.source
        if source == "soft" and task.soft_prompt is None:
            task.explain("no soft prompt was trained: amplified answers were the targets")
            source = "amplified"
        examples = task.texts(min(task.config.num_generations_per_prompt, len(task.train)))
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
        gains = self._gains(task, list(openings), examples[:JUDGED_ON], soft)
        return sorted(gains, key=lambda opening: -gains[opening])[: self.targets]

    def _gains(
        self,
        task: SearchTask,
        openings: Sequence[Answer],
        examples: Sequence[Example],
        soft: Tensor | None,
    ) -> dict[Answer, float]:
        """Nats by which each is likelier where the answers come from than plainly, of either
        model."""
        pair, layout = task.pair, task.layout
        items = [(opening, example) for opening in openings for example in examples]
        answers = [opening for opening, _ in items]
        plain = [layout.hard(example) for _, example in items]
        one = answer_log_probs(task, pair.model_1, plain, answers)
        two = answer_log_probs(task, pair.model_2, plain, answers)
        if soft is None:
            gains = two - one
        else:
            slots = [layout.soft(example) for _, example in items]
            gains = answer_log_probs(task, pair.model_2, slots, answers, soft) - torch.maximum(
                one, two
            )
        mean = gains.view(len(openings), len(examples)).mean(dim=1).tolist()
        return dict(zip(openings, mean, strict=True))
