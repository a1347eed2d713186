"""Fresh answers of both models on held-out texts under one prompt, token by token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
from torch import Tensor

from softdiv.config.schema import EvaluationConfig, GenerationConfig
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, rollout
from softdiv.evaluation.metrics import DivergenceMetrics
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.teacher_forcing import log_likelihood
from softdiv.plugin.records import Example, Finding, ResponsePair, TokenDivergence


@attrs.frozen(kw_only=True)
class Scores:
    """One prompt on the held-out texts; every sequence has one entry per user text."""

    bits: Sequence[float]
    llr: Sequence[float]
    metrics: Mapping[str, Sequence[float]]
    findings: tuple[Finding, ...]


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

    def hard(self, prompt: str) -> Scores:
        """Score a text prompt, re-tokenised through the template."""
        return self._score([self.layout.hard(e.text, prompt) for e in self.examples], prompt, None)

    def soft(self, prompt: Tensor) -> Scores:
        """Score a soft prompt ``[k, H]`` in place."""
        return self._score([self.layout.soft(e.text) for e in self.examples], "", prompt)

    def perplexity(self, prompt: str) -> float | None:
        """exp of model_1's mean surprise at the prompt's tokens, in its place in the template."""
        if not prompt:
            return None
        slot = self.layout.soft(self.examples[0].text)
        ids = self.layout.encode(prompt)
        nats = -log_likelihood(self.pair.model_1, [Context(before=slot.before)], [ids]).mean()
        return math.exp(min(float(nats), 700.0))

    def _score(self, contexts: Sequence[Context], prompt: str, soft: Tensor | None) -> Scores:
        count, rows = len(contexts), self.generation.batch_rows
        per_batch = max(rows // 2, 1)
        bits: list[float] = []
        llr: list[float] = []
        metrics: dict[str, list[float]] = {}
        findings: list[Finding] = []
        for start in range(0, count, per_batch):
            part = slice(start, start + per_batch)
            examples = self.examples[part]
            result = self._answers(contexts[part], examples, soft)
            half = len(examples)
            first = self.evaluation.response_tokens
            mean = result.mean_bits(first)
            bits += ((mean[:half] + mean[half:]) / 2).tolist()
            llr += result.summed_ratio(first)[half:].tolist()
            for name, values in result.extra.items():
                each = result.mean_of(values, first)
                metrics.setdefault(name, []).extend(((each[:half] + each[half:]) / 2).tolist())
            for index, example in enumerate(examples):
                findings.append(
                    Finding(
                        prompt=prompt,
                        example=example,
                        response_1=self.layout.decode(result.answer(index)),
                        response_2=self.layout.decode(result.answer(half + index)),
                        divergence_bits=bits[start + index],
                        log_likelihood_ratio=llr[start + index],
                        tokens_1=self._tokens(result, index),
                        tokens_2=self._tokens(result, half + index),
                    )
                )
        metrics = {n: v for n, v in metrics.items() if len(v) == count}
        pairs = [
            ResponsePair(
                example=f.example, prompt=prompt, response_1=f.response_1, response_2=f.response_2
            )
            for f in findings
        ]
        metrics |= self.metrics.of_pairs(pairs)
        return Scores(bits=bits, llr=llr, metrics=metrics, findings=tuple(findings))

    def _answers(
        self, contexts: Sequence[Context], examples: Sequence[Example], soft: Tensor | None
    ) -> Rollouts:
        """Rows 0..n-1 answered by model_1, n..2n-1 by model_2."""
        length = max(self.generation.max_length, self.evaluation.response_tokens)
        keys = [f"held-out:{which}:{e.id}" for which in (1, 2) for e in examples]
        return rollout(
            self.pair,
            [*contexts, *contexts],
            weights=[FROM_MODEL_1] * len(contexts) + [FROM_MODEL_2] * len(contexts),
            uniforms=uniform_rows(keys, self.seed, length),
            sampling=Sampling(temperature=self.generation.temperature, top_p=self.generation.top_p),
            soft=soft,
            row_metrics=self.metrics.of_rows,
        )

    def _tokens(self, result: Rollouts, row: int) -> tuple[TokenDivergence, ...]:
        def word(token: Tensor) -> str:
            text: str = self.pair.tokenizer.decode([int(token)])
            return text

        return tuple(
            TokenDivergence(
                token=word(result.ids[row, t]),
                bits=float(result.bits[row, t]),
                log_prob_1=float(result.log_prob_1[row, t]),
                log_prob_2=float(result.log_prob_1[row, t] + result.ratio[row, t]),
                preferred_1=word(result.best_1[row, t]),
                preferred_2=word(result.best_2[row, t]),
            )
            for t in range(int(result.lengths[row]))
        )
