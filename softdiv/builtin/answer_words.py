"""Searchers ``amplified`` and ``soft_answers``: words of model_2's answers, in short prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.searching import (
    FROM_MODEL_1,
    FROM_MODEL_2,
    Context,
    Request,
    amplified,
    over_represented,
    phrase_prompts,
    usual_row,
)

FEWEST = 2


@attrs.frozen(kw_only=True)
class Amplified:
    """Amplified answers to neutral texts, their over-represented words, and amplified user turns.

    Samples from log p2 + alpha (log p2 - log p1): what model_2 says more than model_1 would.
    """

    role: ClassVar[Literal["proposer"]] = "proposer"
    alphas: tuple[float, ...] = (2.0, 8.0)
    """Strengths of amplification for answers."""
    turn_alpha: float = attrs.field(default=4.0, validator=ge(0.0))
    """Strength for user turns."""
    words: int = attrs.field(default=16, validator=ge(1))
    """Words that become prompts."""
    user_turns: int = attrs.field(default=12, validator=ge(0))
    """User turns sampled."""
    answer_tokens: int = attrs.field(default=16, validator=ge(1))
    """Length of the sampled answers."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield word prompts, then user turns."""
        kinds = len(self.alphas)
        count = _affordable_texts(task, budget, kinds, self.answer_tokens, self.user_turns)
        if count == 0:
            return
        contexts = [task.layout.hard(e) for e in task.texts(count)]
        header = task.layout.header(task.train[0])
        turns_wanted = self.user_turns if header.before else 0  # nothing to sample a turn from
        turns, plain_1, plain_2, *loud = task.answers(
            [
                Request([header] * turns_wanted, amplified(self.turn_alpha), "user-turn"),
                *_plain(contexts),
                *(Request(contexts, amplified(a), f"amplified-{a}") for a in self.alphas),
            ],
            self.answer_tokens,
        )
        answers = [answer for group in loud for answer in group]
        words = over_represented(answers, [*plain_1, *plain_2], self.words)
        yield from phrase_prompts(task, words, "amplified answers")
        for turn in turns:
            text = turn.strip().split("\n")[0].strip()
            if task.usable(text):
                yield HardPrompt(text=text, searcher="", note="amplified user turn")


@attrs.frozen(kw_only=True)
class SoftAnswers:
    """Words of model_2's answers under the trained soft prompt.

    The soft prompt's answers, not its vectors, carry the words: projecting the vectors onto
    their nearest tokens does not keep their effect.
    """

    role: ClassVar[Literal["proposer"]] = "proposer"
    words: int = attrs.field(default=16, validator=ge(1))
    """Words that become prompts."""
    answer_tokens: int = attrs.field(default=16, validator=ge(1))
    """Length of the sampled answers."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield word prompts; nothing when no soft prompt was trained."""
        if task.soft_prompt is None:
            task.explain("no soft prompt was trained")
            return
        count = _affordable_texts(task, budget, 1, self.answer_tokens)
        if count == 0:
            return
        examples = task.texts(count)
        slots = [task.layout.soft(e) for e in examples]
        contexts = [task.layout.hard(e) for e in examples]
        under, plain_1, plain_2 = task.answers(
            [Request(slots, FROM_MODEL_2, "soft"), *_plain(contexts)], self.answer_tokens
        )
        words = over_represented(under, [*plain_1, *plain_2], self.words)
        yield from phrase_prompts(task, words, "soft answers")


def _affordable_texts(
    task: SearchTask, budget: Budget, kinds: int, tokens: int, others: int = 0
) -> int:
    """How many texts both models answer plainly, one each, and together in ``kinds`` other ways,
    with ``others`` beside them; fewer than two say nothing."""
    paid = budget.remaining // (usual_row(task) + tokens) - 2 * others
    count = min(task.config.num_generations_per_prompt, len(task.train), paid // (2 + 2 * kinds))
    if count < FEWEST:
        task.explain(f"the budget pays for fewer than {FEWEST} answers of each kind")
        return 0
    return count


def _plain(contexts: list[Context]) -> tuple[Request, Request]:
    """Both models' ordinary answers, which the words are compared with."""
    return Request(contexts, FROM_MODEL_1, "plain"), Request(contexts, FROM_MODEL_2, "plain")
