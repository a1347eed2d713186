"""Searcher ``contrastive``: vague openings outside any chat, the difference amplified behind them.

Contrastive decoding diffing (arXiv 2605.25902): without the chat template and with next to nothing
to go on, log p2 + alpha (log p2 - log p1) writes down what model_2's training has added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, le, min_len

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.builtin.plain_openings import OPENINGS, opened_with
from softdiv.searching import (
    FROM_MODEL_1,
    FROM_MODEL_2,
    TEMPLATES,
    amplified,
    over_represented,
    phrase_prompts,
    sample_texts,
)


@attrs.frozen(kw_only=True)
class Contrastive:
    """Needs texts alone, no weights and no chat template."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    alphas: tuple[float, ...] = attrs.field(
        default=(1.0, 4.0), validator=[min_len(1), deep_iterable(gt(0.0))]
    )
    """Strengths of amplification."""
    draws: int = attrs.field(default=8, validator=ge(1))
    """Texts for each opening and strength at most."""
    openings: tuple[str, ...] = attrs.field(default=OPENINGS, validator=min_len(1))
    """What the texts begin with."""
    tokens: int = attrs.field(default=24, validator=ge(1))
    """Length of a text behind its opening."""
    share: float = attrs.field(default=0.5, validator=[gt(0.0), le(1.0)])
    """Of the budget left, for sampling; the rest tries the prompts."""
    longest: int = attrs.field(default=3, validator=ge(1))
    """Words of a phrase."""
    phrases: int = attrs.field(default=24, validator=ge(1))
    """Phrases that become prompts at most."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield phrases of amplified texts that plain ones lack."""
        contexts = opened_with(task, self.openings, len(self.openings))
        plain = (FROM_MODEL_1, FROM_MODEL_2)
        kinds = (*plain, *map(amplified, self.alphas))
        rows = [
            (context, weights, f"contrastive:{draw}:{number}:{weights}")
            for draw in range(self.draws)
            for number, context in enumerate(contexts)
            for weights in kinds
        ]
        found = sample_texts(
            task,
            budget,
            [context for context, _, _ in rows],
            [weights for _, weights, _ in rows],
            [key for _, _, key in rows],
            tokens=self.tokens,
            share=self.share,
        )
        if len(found) < len(kinds):
            task.explain("the budget left pays for no text of every kind")
            return
        told = list(zip(found, rows, strict=False))
        loud = [one.text for one, (_, weights, _) in told if weights not in plain]
        usual = [one.text for one, (_, weights, _) in told if weights in plain]
        phrases = over_represented(loud, usual, self.phrases, self.longest)
        yield from phrase_prompts(task, phrases, "amplified texts", (*TEMPLATES, "{}."))
