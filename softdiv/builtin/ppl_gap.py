"""Searcher ``ppl_gap``: what model_2 writes behind a few words of ordinary text, by perplexity gap.

Perplexity differencing (arXiv 2605.00994): a narrow training leaks into texts that have nothing to
do with it. model_2 continues short random pieces of text outside any chat; of many continuations,
those that it finds much likelier than model_1 does say what it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, gt, le

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.builtin.plain_openings import OPENINGS, first_words, opened_with, random_openings
from softdiv.searching import (
    FROM_MODEL_2,
    TEMPLATES,
    SampledText,
    Sampling,
    over_represented,
    phrase_prompts,
    sample_texts,
)

FEWEST = 8
"""Continuations among which a ranking means something."""


@attrs.frozen(kw_only=True)
class PplGap:
    """Needs texts alone, no weights and no chat template."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    by_text: ClassVar[bool] = True
    continuations: int = attrs.field(default=768, validator=ge(FEWEST))
    """Continuations sampled at most."""
    tokens: int = attrs.field(default=24, validator=ge(1))
    """Length of a continuation."""
    temperature: float = attrs.field(default=1.0, validator=gt(0.0))
    """Of the continuations."""
    share: float = attrs.field(default=0.5, validator=[gt(0.0), le(1.0)])
    """Of the budget left, for sampling; the rest tries the prompts."""
    top: float = attrs.field(default=0.125, validator=[gt(0.0), le(0.5)])
    """Share of the continuations, widest gap first, whose phrases are looked for."""
    longest: int = attrs.field(default=3, validator=ge(1))
    """Words of a phrase."""
    phrases: int = attrs.field(default=24, validator=ge(1))
    """Phrases that become prompts at most."""
    quotes: int = attrs.field(default=4, validator=ge(0))
    """Continuations of the widest gap whose own first words become prompts."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield phrases in a template, quotes, and phrases in the other templates."""
        contexts = opened_with(
            task, chain(OPENINGS, random_openings(task, "ppl-gap")), self.continuations
        )
        found = sample_texts(
            task,
            budget,
            contexts,
            [FROM_MODEL_2] * len(contexts),
            [f"ppl-gap:{number}" for number in range(len(contexts))],
            tokens=self.tokens,
            share=self.share,
            sampling=Sampling(temperature=self.temperature),
        )
        ranked = sorted((one for one in found if one.text.strip()), key=lambda one: -one.gap)
        if len(ranked) < FEWEST:
            task.explain(
                f"{len(ranked)} of the {len(found)} continuations that the budget paid for have a "
                f"text, {FEWEST} are needed"
            )
            return
        count = max(FEWEST // 2, int(self.top * len(ranked)))
        best, rest = ([one.text for one in part] for part in (ranked[:count], ranked[count:]))
        phrases = over_represented(best, rest, self.phrases, self.longest)
        quotes = _quotes(task, ranked[: self.quotes])
        bare, *others = "{}.", *TEMPLATES
        yield from chain(
            phrase_prompts(task, phrases, "continuations", (others[0],)),
            quotes,
            phrase_prompts(task, phrases, "continuations", (*others[1:], bare)),
        )


def _quotes(task: SearchTask, texts: list[SampledText]) -> Iterator[HardPrompt]:
    for one in texts:
        quote = first_words(one.text)
        if task.usable(quote):
            yield HardPrompt(
                text=quote, searcher="", note=f"continuation, {one.gap:.2f} nats a token"
            )
