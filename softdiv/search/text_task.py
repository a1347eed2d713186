"""What a searcher is given where the models share no tokens: texts, and the likelihood ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import attrs

from softdiv.config.schema import GenerationConfig
from softdiv.divergence.sampler import streams
from softdiv.divergence.text_pair import TextLayout, TextPair
from softdiv.errors import DataError
from softdiv.pair.sampling import Sampling
from softdiv.plugin.records import Example, HardPrompt, TextAnswer, TextContext
from softdiv.search.task import Score, SearchTask

SKIPPED = "needs the models' shared tokens or weights, and this pair is compared by text"


def by_text(component: object) -> bool:
    """Whether a searcher or an analyzer says that it needs texts alone."""
    return getattr(component, "by_text", False) is True


@attrs.define(eq=False, kw_only=True)
class TextTask:
    """What of a :class:`SearchTask` is defined for a pair compared by text.

    Searchers with a class attribute ``by_text = True`` are given one.
    """

    by_text: ClassVar[bool] = True
    pair: TextPair
    layout: TextLayout
    train: Sequence[Example]
    config: GenerationConfig
    seed: int
    best: list[HardPrompt] = attrs.field(factory=list)
    soft_prompt: ClassVar[None] = None
    notes: list[str] = attrs.field(factory=list)
    """What searchers left out."""
    explanations: list[str] = attrs.field(init=False, factory=list)
    _taken: int = attrs.field(init=False, default=0)

    @property
    def sampling(self) -> Sampling:
        """Temperature and nucleus of every sampled answer."""
        return Sampling.of(self.config)

    def texts(self, count: int) -> list[Example]:
        """As :meth:`SearchTask.texts`."""
        found = [self.train[(self._taken + i) % len(self.train)] for i in range(count)]
        self._taken += count
        return found

    def explain(self, why: str) -> None:
        """As :meth:`SearchTask.explain`."""
        if why not in self.explanations:
            self.explanations.append(why)

    def left_out(self, what: str) -> None:
        """As :meth:`SearchTask.left_out`; the report shows it in any case."""
        note = f"left out: {what}: {SKIPPED}"
        if note not in self.notes:
            self.notes.append(note)

    def usable(self, prompt: str) -> bool:
        """As :meth:`SearchTask.usable`, for both models."""
        if not prompt.strip() or prompt != prompt.strip():
            return False
        try:
            self.layout.check_plain(prompt)
        except DataError:
            return False
        most = self.config.max_prompt_tokens
        return all(len(s.layout.encode(prompt)) <= most for s in self.pair.local)

    def sampled(
        self,
        contexts: Sequence[TextContext],
        keys: Sequence[str],
        tokens: int,
        sampling: Sampling | None = None,
    ) -> list[tuple[TextAnswer, float]]:
        """A text of model_2's behind each context, and log p2 - log p1 of it in nats."""
        found: list[tuple[TextAnswer, float]] = []
        for start in range(0, len(contexts), self.config.batch_rows):
            part = slice(start, start + self.config.batch_rows)
            answers = self.pair.answers(
                1,
                contexts[part],
                keys[part],
                self.seed,
                tokens=tokens,
                counted=tokens,
                sampling=sampling or self.sampling,
            )
            logs = self.pair.ratios(contexts[part], answers)
            found += [(answer, two - one) for answer, (one, two) in zip(answers, logs, strict=True)]
        return found

    def score(
        self, prompts: Sequence[str], examples: Sequence[Example], tokens: int
    ) -> list[float]:
        """Of each prompt, the mean log-likelihood ratio of model_2's fresh answers, nats."""
        contexts = [self.layout.hard(e, prompt) for prompt in prompts for e in examples]
        keys = streams("score", examples) * len(prompts)
        values = [value for _, value in self.sampled(contexts, keys, tokens)]
        size = len(examples)
        return [sum(values[i : i + size]) / size for i in range(0, len(values), size)]

    def both_scores(
        self, prompts: Sequence[str], examples: Sequence[Example], tokens: int
    ) -> list[Score]:
        """:meth:`score`, with a D that is undefined."""
        return [Score(math.nan, llr) for llr in self.score(prompts, examples, tokens)]

    def usual_row(self) -> int:
        """Tokens of an average user text in its conversation."""
        texts = self.train[:64]
        return sum(self.pair.size(self.layout.hard(t)) for t in texts) // len(texts)


AnyTask = SearchTask | TextTask
