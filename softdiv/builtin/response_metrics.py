"""Built-in plugin: metrics of the two answers as text, one value per user text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, gt

from softdiv import Register, ResponseMetric, ResponsePair, TokenDivergence, hookimpl

_WORD = re.compile(r"\w+|[^\w\s]")


@attrs.frozen(kw_only=True)
class _ResponseMetric:
    level: ClassVar[Literal["response"]] = "response"


@attrs.frozen(kw_only=True)
class ResponseLength(_ResponseMetric):
    """Words by which model_2's answer is longer than model_1's (words are split at spaces)."""

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """Signed difference in words, unbounded."""
        return [float(len(p.response_2.split()) - len(p.response_1.split())) for p in pairs]


@attrs.frozen(kw_only=True)
class LexicalJaccard(_ResponseMetric):
    """1 - shared words over all words of the two answers (Jaccard 1901): 0 same, 1 none in common.

    Words are compared without case; a punctuation mark counts as a word of its own.
    """

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """In [0, 1]; two empty answers do not differ."""
        values = []
        for pair in pairs:
            words_1, words_2 = (
                set(_WORD.findall(text.casefold())) for text in (pair.response_1, pair.response_2)
            )
            union = words_1 | words_2
            values.append(1 - len(words_1 & words_2) / len(union) if union else 0.0)
        return values


@attrs.frozen(kw_only=True)
class ChrfDistance(_ResponseMetric):
    """1 - chrF of model_2's answer against model_1's: overlap of character n-grams.

    chrF (Popovic 2015) works in every script and forgives inflections, where words do not. The
    value is sacrebleu's sentence-level chrF: precision and recall averaged over the n-gram orders
    that both texts have, spaces removed, then one F-score.
    """

    order: int = attrs.field(default=6, validator=ge(1))
    """Longest n-gram, characters."""
    beta: float = attrs.field(default=2.0, validator=gt(0.0))
    """Weight of recall over precision; 1 makes the two answers interchangeable."""

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """In [0, 1]; two empty answers do not differ."""
        return [1 - self._chrf(p.response_2, p.response_1) for p in pairs]

    def _chrf(self, text: str, reference: str) -> float:
        text, reference = "".join(text.split()), "".join(reference.split())
        if text == reference:
            return 1.0
        precisions, recalls = [], []
        for size in range(1, self.order + 1):
            ours, theirs = _ngrams(text, size), _ngrams(reference, size)
            if ours and theirs:
                shared = (ours & theirs).total()
                precisions.append(shared / ours.total())
                recalls.append(shared / theirs.total())
        precision = sum(precisions) / len(precisions) if precisions else 0.0
        recall = sum(recalls) / len(recalls) if recalls else 0.0
        weight = self.beta**2
        below = weight * precision + recall
        return (1 + weight) * precision * recall / below if below else 0.0


@attrs.frozen(kw_only=True)
class PerplexityDifference(_ResponseMetric):
    """Perplexity under model_2 minus perplexity under model_1.

    ``answer = "own"``: each model on its own answer, i.e. how sure each is of what it says;
    ``"model_1"`` or ``"model_2"``: both models on that one's answer, i.e. who would rather have
    written it. Perplexity is exp of the mean surprise per token, so one improbable token can
    dominate; ``log_likelihood_ratio`` is the same comparison without the exponential.
    """

    answer: Literal["own", "model_1", "model_2"] = "own"
    """Whose answer is scored."""

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """Signed difference of two perplexities (each at least 1), unbounded.

        Raises:
            ValueError: a pair carries text but no token scores.
        """
        return [self._difference(pair) for pair in pairs]

    def _difference(self, pair: ResponsePair) -> float:
        scored_1 = pair.tokens_2 if self.answer == "model_2" else pair.tokens_1
        scored_2 = pair.tokens_1 if self.answer == "model_1" else pair.tokens_2
        if not (scored_1 and scored_2):
            if pair.response_1 or pair.response_2:
                raise ValueError("the answers' tokens were not scored (tokens_1, tokens_2)")
            return 0.0
        return _perplexity(scored_2, 2) - _perplexity(scored_1, 1)


def _perplexity(tokens: Sequence[TokenDivergence], model: Literal[1, 2]) -> float:
    logs = [t.log_prob_1 if model == 1 else t.log_prob_2 for t in tokens]
    return math.exp(min(-math.fsum(logs) / len(logs), 700.0))  # beyond 700 exp overflows


def _ngrams(text: str, size: int) -> Counter[str]:
    return Counter(text[i : i + size] for i in range(len(text) - size + 1))


@hookimpl
def softdiv_register_metrics(register: Register[ResponseMetric]) -> None:
    """Register the metrics."""
    register("response_length", ResponseLength)
    register("lexical_jaccard", LexicalJaccard)
    register("chrf", ChrfDistance)
    register("perplexity_difference", PerplexityDifference)
