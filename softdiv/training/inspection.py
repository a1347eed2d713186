"""Looking at a soft prompt while it is trained: what both models answer, and every metric of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor

from softdiv.config.load import ExperimentConfig
from softdiv.data.base import text_id
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.rollouts import Rollouts
from softdiv.divergence.sampler import Sampler
from softdiv.divergence.tokens import token_divergences
from softdiv.errors import DataError
from softdiv.pair.layout import Layout
from softdiv.plugin.records import Example, ResponsePair

TextBatch = str | Sequence[str | Example] | Mapping[str, Sequence[str]]
"""What a data loader over user texts yields: texts, or ``{"text": texts, ...}``."""


@attrs.frozen(kw_only=True)
class GeneratedExample:
    """Both models' answers to one user text with the soft prompt in place."""

    text: str
    response_1: str
    response_2: str
    divergence_bits: float
    """Mean JSD over both answers' tokens."""


def as_examples(batch: TextBatch) -> list[Example]:
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

    sampler: Sampler
    """With the metrics."""
    layout: Layout
    config: ExperimentConfig

    def measure(self, examples: Sequence[Example], soft: Tensor) -> dict[str, float]:
        """Mean over texts of ``divergence`` (bits) and of every metric that is available."""
        metrics = self.sampler.metrics or DivergenceMetrics()
        result = self._both(examples, soft, self.config.training.response_tokens)
        values = {"divergence": result.mean_bits()}
        values |= {name: result.mean_of(found) for name, found in result.extra.items()}
        means = {name: float(column.mean()) for name, column in values.items()}
        for name, listed in metrics.of_pairs(self._pairs(examples, result)).items():
            means[name] = sum(listed) / len(examples)
        return {name: mean for name, mean in means.items() if name not in metrics.unavailable}

    def generate(
        self, prompts: str | Sequence[str], count: int, soft: Tensor
    ) -> list[GeneratedExample]:
        """Both answers to ``count`` user texts, ``generation.max_length`` tokens at most.

        Args:
            prompts: the texts, taken in turn.
            soft: ``[k, H]``.

        Raises:
            DataError: there is no text, or ``count`` is below 1.
        """
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not texts or count < 1:
            raise DataError("nothing to generate", fix="give at least one text and num_examples=1")
        examples = as_examples([texts[n % len(texts)] for n in range(count)])
        result = self._both(examples, soft, self.config.generation.max_length)
        bits = result.mean_bits()
        return [
            GeneratedExample(
                text=pair.example.text,
                response_1=pair.response_1,
                response_2=pair.response_2,
                divergence_bits=float(bits[n] + bits[count + n]) / 2,
            )
            for n, pair in enumerate(self._pairs(examples, result))
        ]

    def _both(self, examples: Sequence[Example], soft: Tensor, tokens: int) -> Rollouts:
        keys_1, keys_2 = (
            [f"look:{which}:{n}:{example.id}" for n, example in enumerate(examples)]
            for which in (1, 2)
        )
        contexts = [self.layout.soft(example) for example in examples]
        return self.sampler.both(contexts, (keys_1, keys_2), tokens, soft)

    def _pairs(self, examples: Sequence[Example], result: Rollouts) -> list[ResponsePair]:
        tokenizer, half = self.sampler.pair.tokenizer, len(examples)
        return [
            ResponsePair(
                example=example,
                prompt="",
                response_1=self.layout.decode(result.answer(n)),
                response_2=self.layout.decode(result.answer(half + n)),
                tokens_1=token_divergences(result, n, tokenizer),
                tokens_2=token_divergences(result, half + n, tokenizer),
            )
            for n, example in enumerate(examples)
        ]
