"""What a searcher is given: the pair, the texts it may look at, and the only way to score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import attrs
from torch import Tensor

from softdiv.config.schema import GenerationConfig
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts
from softdiv.divergence.sampler import Sampler, in_turn, streams
from softdiv.errors import DataError
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit
from softdiv.pair.sampling import Sampling
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example, HardPrompt
from softdiv.ranks.group import Ranks


@attrs.frozen
class Request:
    """Answers wanted: to these contexts, drawn with these mixture weights.

    ``salt`` names the random streams: two requests with one salt meet the same numbers.
    """

    contexts: Sequence[Context]
    weights: tuple[float, float]
    salt: str


@attrs.frozen
class Score:
    """Of one prompt: means over both models' fresh answers to the same texts."""

    bits: float
    """D"""
    llr: float
    """log-likelihood ratio of model_2's answers, model_2 over model_1, nats per answer"""


@attrs.define(eq=False, kw_only=True)
class SearchTask:
    """One search on one pair. Searchers never see validation or test texts."""

    by_text: ClassVar[bool] = False
    pair: ModelPair
    layout: Layout
    train: Sequence[Example]
    config: GenerationConfig
    soft_prompt: Tensor | None
    """``[k, H]`` trained prompt, None if training was skipped."""
    seed: int
    best: list[HardPrompt] = attrs.field(factory=list)
    """What refiners start from: survivors of the halving loop, best first."""
    limit: RowLimit = attrs.field(factory=RowLimit)
    """How many rows fit into memory at a time."""
    ranks: Ranks = attrs.field(factory=Ranks)
    """Who shares the work."""
    explanations: list[str] = attrs.field(init=False, factory=list)
    """Why the searcher under way has proposed nothing, in its own words."""
    _taken: int = attrs.field(init=False, default=0)

    @property
    def sampling(self) -> Sampling:
        """Temperature and nucleus of every sampled answer."""
        return Sampling.of(self.config)

    @property
    def sampler(self) -> Sampler:
        """Through which everything below samples and scores."""
        return Sampler.of(self.pair, self.config, self.seed, limit=self.limit, ranks=self.ranks)

    def texts(self, count: int) -> list[Example]:
        """The next ``count`` training texts; fresh ones until all have been seen."""
        found = [self.train[(self._taken + i) % len(self.train)] for i in range(count)]
        self._taken += count
        return found

    def explain(self, why: str) -> None:
        """A searcher says why it found nothing; the report shows it if it proposes nothing."""
        if why not in self.explanations:
            self.explanations.append(why)

    def left_out(self, what: str) -> None:
        """A searcher says which of its parts need what this pair does not have."""
        self.explain(f"left out: {what}")

    def usable(self, prompt: str) -> bool:
        """Whether a text can be a prompt here: not blank, not too long, no special token."""
        if not prompt.strip() or prompt != prompt.strip():
            return False
        try:
            self.layout.check_plain(prompt)
        except DataError:
            return False
        return len(self.layout.encode(prompt)) <= self.config.max_prompt_tokens

    def score(
        self, prompts: Sequence[str], examples: Sequence[Example], tokens: int
    ) -> list[float]:
        """D of each prompt in bits, on fresh on-policy answers, re-tokenised as text.

        Answers are sampled from model_1 and model_2 in turn; all prompts meet the same texts
        and the same random numbers.

        Args:
            tokens: response tokens per answer.
        """
        bits: list[float] = []
        for result in self.sample(
            [self.layout.hard(example, prompt) for prompt in prompts for example in examples],
            in_turn(len(examples), first=2) * len(prompts),
            streams("score", examples) * len(prompts),
            tokens,
        ):
            bits += result.mean_bits().tolist()
        size = len(examples)
        return [sum(bits[i : i + size]) / size for i in range(0, len(bits), size)]

    def both_scores(
        self, prompts: Sequence[str], examples: Sequence[Example], tokens: int
    ) -> list[Score]:
        """D and the log-likelihood ratio, on an answer of each model to each text: twice the
        cost of :meth:`score`. D tells that the models differ, the ratio that model_2 says what
        model_1 would not."""
        contexts = [self.layout.hard(e, prompt) for prompt in prompts for e in examples]
        keys = streams("score", examples) * len(prompts)
        bits: list[float] = []
        ratios: list[float] = []
        for source in (FROM_MODEL_1, FROM_MODEL_2):
            ratios = []
            for result in self.sample(contexts, [source] * len(contexts), keys, tokens):
                bits += result.mean_bits().tolist()
                ratios += result.summed_ratio().tolist()
        half, size = len(contexts), len(examples)
        return [
            Score(
                bits=sum(bits[n : n + size] + bits[half + n : half + n + size]) / (2 * size),
                llr=sum(ratios[n : n + size]) / size,
            )
            for n in range(0, half, size)
        ]

    def first_bits(self, contexts: Sequence[Context]) -> list[float]:
        """D in bits of the first answer token alone: what a context costs, and no sampling."""
        keys = [""] * len(contexts)  # nothing is made of what is drawn
        weights = [FROM_MODEL_1] * len(contexts)
        results = self.sample(contexts, weights, keys, 1)
        return [bits for result in results for bits in result.bits[:, 0].tolist()]

    def next_log_probs(self, model: ModelWrapper, contexts: Sequence[Context]) -> Iterator[Tensor]:
        """``[V]`` nats of the token after each context, in the order given."""
        return self.sampler.next_log_probs(model, contexts)

    def sample(
        self,
        contexts: Sequence[Context],
        weights: Sequence[tuple[float, float]],
        keys: Sequence[str],
        tokens: int,
        soft: Tensor | None = None,
        sampling: Sampling | None = None,
    ) -> Iterator[Rollouts]:
        """Roll out contexts in batches of ``batch_rows``; ``keys`` name the random streams.

        Args:
            soft: ``[k, H]`` prompt for the contexts' slots.
            sampling: how tokens are drawn, the config's way by default.
        """
        size = self.config.batch_rows
        for start in range(0, len(contexts), size):
            part = slice(start, start + size)
            yield self.sampler.rollouts(
                contexts[part], weights[part], keys[part], tokens, soft, sampling
            )

    def answers(self, requests: Sequence[Request], tokens: int) -> list[list[str]]:
        """Sampled answers as text, one list per request, all decoded in the same batches.

        Slots are filled with the soft prompt.
        """
        flat = [(r, n, c) for r in requests for n, c in enumerate(r.contexts)]
        texts = [
            self.layout.decode(result.answer(row))
            for result in self.sample(
                [context for _, _, context in flat],
                [request.weights for request, _, _ in flat],
                [f"{request.salt}:{number}" for request, number, _ in flat],
                tokens,
                self.soft_prompt,
            )
            for row in range(len(result.lengths))
        ]
        found, start = [], 0
        for request in requests:
            found.append(texts[start : start + len(request.contexts)])
            start += len(request.contexts)
        return found
