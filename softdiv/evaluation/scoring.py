"""Fresh answers of both models on held-out texts under one prompt, token by token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs
from torch import Tensor

from softdiv.config.schema import EvaluationConfig, GenerationConfig
from softdiv.divergence.kernels import jsd
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.sampler import Sampler, streams
from softdiv.divergence.tokens import token_divergences
from softdiv.errors import PairError
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.memory import RowLimit
from softdiv.plugin.records import Example, Finding, ResponsePair
from softdiv.ranks.group import Ranks


@attrs.frozen(kw_only=True)
class Scores:
    """One prompt on the held-out texts; every sequence has one entry per user text."""

    bits: Sequence[float]
    llr: Sequence[float]
    metrics: Mapping[str, Sequence[float]]
    findings: tuple[Finding, ...]


ROUNDED = 6
"""Conversations on which rounding is measured."""

Item = tuple[str, Example, Context]
"""(prompt, user text, both as the model sees them)"""


@attrs.frozen(kw_only=True)
class Scorer:
    """Scores prompts on the same texts with the same random numbers."""

    pair: ModelPair
    layout: Layout
    examples: Sequence[Example]
    generation: GenerationConfig
    evaluation: EvaluationConfig
    metrics: DivergenceMetrics
    seed: int
    limit: RowLimit = attrs.field(factory=RowLimit)
    """How many rows fit into memory at a time."""
    ranks: Ranks = attrs.field(factory=Ranks)
    """Who shares the work."""

    @property
    def sampler(self) -> Sampler:
        """Through which everything is sampled and scored."""
        shared = {"limit": self.limit, "ranks": self.ranks, "metrics": self.metrics}
        return Sampler.of(self.pair, self.generation, self.seed, **shared)

    def score(
        self, prompts: Sequence[str], soft: Tensor | None = None
    ) -> tuple[dict[str, Scores], Scores | None]:
        """Score text prompts, re-tokenised through the template, and the soft prompt in place.

        All of them are decoded in the same batches, which is faster than one by one.

        Args:
            soft: ``[k, H]``.

        Returns:
            Scores by prompt, and the soft prompt's.
        """
        unique = list(dict.fromkeys(prompts))
        items = [
            (prompt, example, self.layout.hard(example, prompt))
            for prompt in unique
            for example in self.examples
        ]
        if soft is not None:
            items += [("", example, self.layout.soft(example)) for example in self.examples]
        found = self._findings(items, soft)
        count, texts = len(self.examples), len(unique) * len(self.examples)
        pairs = self._pairs(found[:texts], items[:texts])
        parts = [
            self._collect(found[n : n + count], pairs[n : n + count])
            for n in range(0, len(found), count)
        ]
        return dict(zip(unique, parts, strict=False)), parts[-1] if soft is not None else None

    def perplexity(self, prompt: str) -> float | None:
        """exp of model_1's mean surprise at the prompt's tokens, in its place in the template."""
        if not prompt:
            return None
        slot = self.layout.soft(self.examples[0])
        ids = self.layout.encode(prompt)
        model = self.pair.model_1
        (logs,) = self.sampler.prompt_log_likelihoods(model, slot.before, [ids])
        return math.exp(min(-float(logs.mean()), 700.0)) if len(logs) else None

    def rounding_bits(self) -> float:
        """What D is where nothing differs but the batch: mean JSD of a model's next-token
        distributions, one conversation at a time against several at once; the larger of the two
        models'. Nothing is charged for it."""
        contexts = [self.layout.hard(example) for example in self.examples[:ROUNDED]]
        alone, together = (attrs.evolve(self.sampler, rows=rows) for rows in (1, len(contexts)))
        found = []
        with self.pair.ledger.closed():
            for model in self.pair.models:
                pairs = zip(
                    alone.next_log_probs(model, contexts),
                    together.next_log_probs(model, contexts),
                    strict=True,
                )
                found.append(sum(float(jsd(one[None], other[None])) for one, other in pairs))
        return max(found) / len(contexts)

    def _findings(self, items: Sequence[Item], soft: Tensor | None) -> list[Finding]:
        """One per (prompt, user text), with the token metrics' means over both answers."""
        # on the same random numbers: where the models agree, they say the same
        keys = streams("held-out", [example for _, example, _ in items])
        contexts = [context for _, _, context in items]
        result = self.sampler.both(contexts, (keys, keys), self._length, soft)
        half, first = len(items), self.evaluation.response_tokens
        bits, ratio = result.mean_bits(first), result.summed_ratio(first)
        for n in range(len(bits)):
            if not bool(bits[n].isfinite() & ratio[n].isfinite()):
                prompt, example, _ = items[n % half]
                raise PairError(
                    f"the models' log-probabilities are not finite under the prompt {prompt!r}",
                    why=f"asked: {example.text[:60]!r}",
                    fix="one of the models is damaged, or its numbers overflow: try dtype float32",
                )
        extra = {name: result.mean_of(values, first) for name, values in result.extra.items()}
        return [
            Finding(
                prompt=prompt,
                example=example,
                response_1=self.layout.decode(result.answer(n)),
                response_2=self.layout.decode(result.answer(half + n)),
                divergence_bits=float(bits[n] + bits[half + n]) / 2,
                log_likelihood_ratio=float(ratio[half + n]),
                tokens_1=token_divergences(result, n, self.pair.tokenizer),
                tokens_2=token_divergences(result, half + n, self.pair.tokenizer),
                metrics={
                    name: float(values[n] + values[half + n]) / 2 for name, values in extra.items()
                },
            )
            for n, (prompt, example, _) in enumerate(items)
        ]

    def _collect(self, findings: Sequence[Finding], pairs: Sequence[ResponsePair]) -> Scores:
        """Those of one prompt (no pairs: the soft prompt, of which no text is measured)."""
        metrics: dict[str, Sequence[float]] = {
            name: [f.metrics[name] for f in findings] for name in findings[0].metrics
        }
        metrics |= self.metrics.of_pairs(pairs) if pairs else {}
        return Scores(
            bits=[f.divergence_bits for f in findings],
            llr=[f.log_likelihood_ratio for f in findings],
            metrics=metrics,
            findings=tuple(
                attrs.evolve(f, metrics={name: values[n] for name, values in metrics.items()})
                for n, f in enumerate(findings)
            ),
        )

    def _pairs(self, found: Sequence[Finding], items: Sequence[Item]) -> list[ResponsePair]:
        """What the response metrics see, resampled as often as one of them asks."""
        again_1, again_2 = (self._resampled(which, items) for which in (1, 2))
        zipped = zip(found, again_1, again_2, strict=True)
        return [finding.as_pair(one, two) for finding, one, two in zipped]

    def _resampled(self, which: Literal[1, 2], items: Sequence[Item]) -> list[tuple[str, ...]]:
        """Further answers of one model to each item, on random numbers of their own."""
        rounds = self.metrics.resamples
        if not rounds:
            return [()] * len(items)
        # a text's resamples share a batch: its context is then read only once
        again = [(item, n) for item in items for n in range(rounds)]
        with self.pair.ledger.phase("resampling"):
            answers = self.sampler.answers(
                self.pair.models[which - 1],
                [context for (_, _, context), _ in again],
                [f"held-out:{which}:{e.id}:again {n}" for (_, e, _), n in again],
                self._length,
                rounds * max(self.generation.batch_rows // rounds, 1),
            )
        texts = [self.layout.decode(answer) for answer in answers]
        return [tuple(texts[n : n + rounds]) for n in range(0, len(texts), rounds)]

    @property
    def _length(self) -> int:
        return max(self.generation.max_length, self.evaluation.response_tokens)
