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
from softdiv.pair.teacher_forcing import prompt_log_likelihoods
from softdiv.plugin.records import Example, Finding, ResponsePair, TokenDivergence


@attrs.frozen(kw_only=True)
class Scores:
    """One prompt on the held-out texts; every sequence has one entry per user text."""

    bits: Sequence[float]
    llr: Sequence[float]
    metrics: Mapping[str, Sequence[float]]
    findings: tuple[Finding, ...]


@attrs.frozen(kw_only=True)
class _Row:
    """One user text under one prompt."""

    metrics: Mapping[str, float]
    finding: Finding


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
            (prompt, example, self.layout.hard(example.text, prompt))
            for prompt in unique
            for example in self.examples
        ]
        if soft is not None:
            items += [("", example, self.layout.soft(example.text)) for example in self.examples]
        rows: list[_Row] = []
        size = max(self.generation.batch_rows // 2, 1)
        for start in range(0, len(items), size):
            rows += self._rows(items[start : start + size], soft)
        count = len(self.examples)
        parts = [self._collect(rows[n : n + count]) for n in range(0, len(rows), count)]
        return dict(zip(unique, parts, strict=False)), parts[-1] if soft is not None else None

    def perplexity(self, prompt: str) -> float | None:
        """exp of model_1's mean surprise at the prompt's tokens, in its place in the template."""
        if not prompt:
            return None
        slot = self.layout.soft(self.examples[0].text)
        ids = self.layout.encode(prompt)
        (logs,) = prompt_log_likelihoods(self.pair.model_1, slot.before, [ids])
        return math.exp(min(-float(logs.mean()), 700.0)) if len(logs) else None

    def _rows(
        self, items: Sequence[tuple[str, Example, Context]], soft: Tensor | None
    ) -> list[_Row]:
        """One row per (prompt, user text): both models' answers, and their mean values."""
        result = self._answers(items, soft)
        half, first = len(items), self.evaluation.response_tokens
        bits, ratio = result.mean_bits(first), result.summed_ratio(first)
        extra = {name: result.mean_of(values, first) for name, values in result.extra.items()}
        return [
            _Row(
                metrics={
                    name: float(values[n] + values[half + n]) / 2 for name, values in extra.items()
                },
                finding=Finding(
                    prompt=prompt,
                    example=example,
                    response_1=self.layout.decode(result.answer(n)),
                    response_2=self.layout.decode(result.answer(half + n)),
                    divergence_bits=float(bits[n] + bits[half + n]) / 2,
                    log_likelihood_ratio=float(ratio[half + n]),
                    tokens_1=self._tokens(result, n),
                    tokens_2=self._tokens(result, half + n),
                ),
            )
            for n, (prompt, example, _) in enumerate(items)
        ]

    def _collect(self, rows: Sequence[_Row]) -> Scores:
        """The rows of one prompt. A metric that failed on some rows has no value."""
        findings = tuple(row.finding for row in rows)
        metrics: dict[str, Sequence[float]] = {
            name: [row.metrics[name] for row in rows]
            for name in rows[0].metrics
            if all(name in row.metrics for row in rows)
        }
        pairs = [
            ResponsePair(
                example=f.example, prompt=f.prompt, response_1=f.response_1, response_2=f.response_2
            )
            for f in findings
        ]
        return Scores(
            bits=[f.divergence_bits for f in findings],
            llr=[f.log_likelihood_ratio for f in findings],
            metrics={**metrics, **self.metrics.of_pairs(pairs)},
            findings=findings,
        )

    def _answers(
        self, items: Sequence[tuple[str, Example, Context]], soft: Tensor | None
    ) -> Rollouts:
        """Rows 0..n-1 answered by model_1, n..2n-1 by model_2."""
        length = max(self.generation.max_length, self.evaluation.response_tokens)
        keys = [f"held-out:{which}:{e.id}" for which in (1, 2) for _, e, _ in items]
        contexts = [context for _, _, context in items]
        return rollout(
            self.pair,
            [*contexts, *contexts],
            weights=[FROM_MODEL_1] * len(items) + [FROM_MODEL_2] * len(items),
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
                margin_1=float(result.margin_1[row, t]),
                margin_2=float(result.margin_2[row, t]),
            )
            for t in range(int(result.lengths[row]))
        )
