"""Held-out answers of two models that are compared by text, and how likely each finds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
from torch import Tensor

from softdiv.config.schema import EvaluationConfig, GenerationConfig
from softdiv.divergence.local_subject import LocalSubject
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.sampler import streams
from softdiv.divergence.text_pair import TextLayout, TextPair
from softdiv.evaluation.scoring import Scores
from softdiv.pair.sampling import Sampling
from softdiv.plugin.records import Example, Finding, ResponsePair, TextAnswer, TextContext

PER_BYTE = ("surprise_1_per_byte", "surprise_2_per_byte", "llr_per_byte")
"""Of model_2's answers: -log p1, -log p2 and log p2 - log p1, nats per byte of UTF-8."""
OTHER_WAY = "llr_of_model_1_answers"
"""log p1 - log p2 of model_1's own answers, nats per answer."""


@attrs.frozen(kw_only=True)
class TextScorer:
    """Scores prompts on the same texts with the same random numbers, as
    :class:`softdiv.evaluation.scoring.Scorer` does where tokens are shared."""

    pair: TextPair
    layout: TextLayout
    examples: Sequence[Example]
    generation: GenerationConfig
    evaluation: EvaluationConfig
    metrics: DivergenceMetrics
    seed: int

    def score(
        self, prompts: Sequence[str], soft: Tensor | None = None
    ) -> tuple[dict[str, Scores], None]:
        """Scores by prompt. There is no soft prompt."""
        return {prompt: self._of_prompt(prompt) for prompt in dict.fromkeys(prompts)}, None

    def perplexity(self, prompt: str) -> float | None:
        """As :meth:`softdiv.evaluation.scoring.Scorer.perplexity`; None where model_1 is served."""
        original = self.pair.subjects[0]
        if not prompt or not isinstance(original, LocalSubject):
            return None
        logs = original.perplexity_logs(original.layout.soft(self.examples[0]).before, prompt)
        return math.exp(min(-float(logs.mean()), 700.0)) if len(logs) else None

    def _of_prompt(self, prompt: str) -> Scores:
        contexts = [self.layout.hard(example, prompt) for example in self.examples]
        keys = streams("held-out", self.examples)
        ones, twos = (self._answers(which, contexts, keys) for which in (0, 1))
        logs = self.pair.ratios(contexts, twos)
        back = self.pair.ratios(contexts, ones, writer=0) if self.pair.both_ways else None
        findings = [
            Finding(
                prompt=prompt,
                example=example,
                response_1=one.text,
                response_2=two.text,
                divergence_bits=math.nan,
                log_likelihood_ratio=log_2 - log_1,
                metrics=_per_byte(two, log_1, log_2),
                written=(one, two),
            )
            for example, one, two, (log_1, log_2) in zip(
                self.examples, ones, twos, logs, strict=True
            )
        ]
        metrics: dict[str, Sequence[float]] = {}
        if not self.pair.undefined:
            metrics |= {name: [f.metrics[name] for f in findings] for name in PER_BYTE}
        if back is not None:
            metrics[OTHER_WAY] = [log_1 - log_2 for log_1, log_2 in back]
        metrics |= self.metrics.of_pairs(self._pairs(findings, contexts))
        return Scores(
            bits=[f.divergence_bits for f in findings],
            llr=[f.log_likelihood_ratio for f in findings],
            metrics=metrics,
            findings=tuple(
                attrs.evolve(f, metrics={name: values[n] for name, values in metrics.items()})
                for n, f in enumerate(findings)
            ),
        )

    def _answers(
        self, which: int, contexts: Sequence[TextContext], keys: Sequence[str]
    ) -> list[TextAnswer]:
        return self.pair.answers(
            which,
            contexts,
            keys,
            self.seed,
            tokens=max(self.generation.max_length, self.evaluation.response_tokens),
            counted=self.evaluation.response_tokens,
            sampling=Sampling.of(self.generation),
        )

    def _pairs(
        self, findings: Sequence[Finding], contexts: Sequence[TextContext]
    ) -> list[ResponsePair]:
        """What the response metrics see, resampled as often as one of them asks."""
        rounds = self.metrics.resamples
        again: list[list[list[str]]] = [[[] for _ in findings] for _ in (0, 1)]
        with self.pair.ledger.phase("resampling"):
            for which in (0, 1):
                for number in range(rounds):
                    keys = [f"held-out:{which + 1}:{f.example.id}:again {number}" for f in findings]
                    for texts, answer in zip(
                        again[which], self._answers(which, contexts, keys), strict=True
                    ):
                        texts.append(answer.text)
        return [f.as_pair(again[0][n], again[1][n]) for n, f in enumerate(findings)]


def _per_byte(answer: TextAnswer, log_1: float, log_2: float) -> Mapping[str, float]:
    """An end that counts is a byte of its own, so that an empty answer has one."""
    size = max(len(answer.counted.encode("utf-8", "replace")) + answer.closed, 1)
    values = (-log_1 / size, -log_2 / size, (log_2 - log_1) / size)
    return dict(zip(PER_BYTE, values, strict=True))
