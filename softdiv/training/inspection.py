"""Looking at a soft prompt while it is trained: what both models answer, and every metric of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor

from softdiv.config.load import ExperimentConfig
from softdiv.data.base import text_id
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, rollout
from softdiv.divergence.tokens import token_divergences
from softdiv.errors import DataError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.plugin.records import Example, ResponsePair

Batch = str | Sequence[str | Example] | Mapping[str, Sequence[str]]
"""What a data loader over user texts yields: texts, or ``{"text": texts, ...}``."""


@attrs.frozen(kw_only=True)
class GeneratedExample:
    """Both models' answers to one user text with the soft prompt in place."""

    text: str
    response_1: str
    response_2: str
    divergence_bits: float
    """Mean JSD over both answers' tokens."""


def as_examples(batch: Batch) -> list[Example]:
    """A batch as user texts.

    Raises:
        DataError: it is empty, or holds something else than texts.
    """
    found: Any = [batch] if isinstance(batch, str) else batch
    if isinstance(batch, Mapping):
        if "text" not in batch:
            raise DataError(
                f"a batch with the keys {', '.join(map(repr, batch))} has no texts",
                fix='put the user texts under "text"',
            )
        found = batch["text"]
    examples = [Example(id=text_id(i), text=i) if isinstance(i, str) else i for i in found]
    odd = next((e for e in examples if not isinstance(e, Example)), None)
    if not examples or odd is not None:
        what = f"holds {type(odd).__name__}" if examples else "is empty"
        raise DataError(f"a batch {what}", fix="give user texts: str, or softdiv.Example")
    return examples


@attrs.frozen(kw_only=True, eq=False)
class Inspector:
    """Samples both models' answers under a soft prompt."""

    pair: ModelPair
    layout: Layout
    config: ExperimentConfig
    metrics: DivergenceMetrics

    def measure(self, examples: Sequence[Example], soft: Tensor) -> dict[str, float]:
        """Mean over texts of ``divergence`` (bits) and of every metric that is available."""
        totals: dict[str, float] = {}
        pairs: list[ResponsePair] = []
        for part, result in self._both(examples, soft, self.config.training.response_tokens):
            values = {"divergence": result.mean_bits()}
            values |= {name: result.mean_of(found) for name, found in result.extra.items()}
            for name, column in values.items():
                totals[name] = totals.get(name, 0.0) + float(column.sum()) / 2
            pairs += [self._pair(e, result, n, len(part)) for n, e in enumerate(part)]
        for name, listed in self.metrics.of_pairs(pairs).items():
            totals[name] = sum(listed)
        for name in self.metrics.unavailable:
            totals.pop(name, None)
        return {name: total / len(examples) for name, total in totals.items()}

    def generate(self, examples: Sequence[Example], soft: Tensor) -> list[GeneratedExample]:
        """Both answers to each text, ``generation.max_length`` tokens at most."""
        found = []
        for part, result in self._both(examples, soft, self.config.generation.max_length):
            bits = result.mean_bits()
            for n, example in enumerate(part):
                pair = self._pair(example, result, n, len(part))
                found.append(
                    GeneratedExample(
                        text=example.text,
                        response_1=pair.response_1,
                        response_2=pair.response_2,
                        divergence_bits=float(bits[n] + bits[len(part) + n]) / 2,
                    )
                )
        return found

    def _both(
        self, examples: Sequence[Example], soft: Tensor, tokens: int
    ) -> Iterator[tuple[Sequence[Example], Rollouts]]:
        """Rows 0..n-1 of each part are answered by model_1, n..2n-1 by model_2."""
        generation = self.config.generation
        size = max(generation.batch_rows // 2, 1)
        for start in range(0, len(examples), size):
            part = examples[start : start + size]
            contexts = [self.layout.soft(example) for example in part]
            keys = [
                f"look:{which}:{start + n}:{example.id}"
                for which in (1, 2)
                for n, example in enumerate(part)
            ]
            yield (
                part,
                rollout(
                    self.pair,
                    [*contexts, *contexts],
                    weights=[FROM_MODEL_1] * len(part) + [FROM_MODEL_2] * len(part),
                    uniforms=uniform_rows(keys, self.config.seed, tokens),
                    sampling=Sampling(temperature=generation.temperature, top_p=generation.top_p),
                    soft=soft,
                    row_metrics=self.metrics.of_rows,
                ),
            )

    def _pair(self, example: Example, result: Rollouts, row: int, half: int) -> ResponsePair:
        return ResponsePair(
            example=example,
            prompt="",
            response_1=self.layout.decode(result.answer(row)),
            response_2=self.layout.decode(result.answer(half + row)),
            tokens_1=token_divergences(result, row, self.pair.tokenizer),
            tokens_2=token_divergences(result, half + row, self.pair.tokenizer),
        )
