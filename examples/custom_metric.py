"""Write a metric, and use it on your own prompts without a search.

A token metric maps rows of log-probabilities to one value per row; softdiv does the masking,
the averaging and the batching. To use it by name in a config, put it into a package:
``plugins/softdiv-rank-overlap`` is one to copy.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
from torch import Tensor

from softdiv import DivergenceMetrics, Example, Rows
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.schema import EvaluationConfig, GenerationConfig
from softdiv.evaluation.scoring import Scorer
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair


@attrs.frozen(kw_only=True)
class ConfidenceGap:
    """How much surer model_2 is of its best token than model_1, in probability."""

    level: ClassVar[Literal["token"]] = "token"

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [-1, 1]."""
        return rows.log_probs_2.amax(dim=-1).exp() - rows.log_probs_1.amax(dim=-1).exp()


def main() -> None:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.1).load("cpu")
    texts = ["How do I boil an egg?", "Tell me about the moon.", "Write a short poem."]
    scorer = Scorer(
        pair=ModelPair.of(model_1, model_2, tokenizer),
        layout=Layout(tokenizer),
        examples=[Example(id=text, text=text) for text in texts],
        generation=GenerationConfig(max_length=8),
        evaluation=EvaluationConfig(response_tokens=8),
        metrics=DivergenceMetrics({"confidence_gap": ConfidenceGap()}),
        seed=0,
    )
    scores, _ = scorer.score(["", "Be brief.", "You are a pirate."])
    for prompt, found in scores.items():
        gap = sum(found.metrics["confidence_gap"]) / len(texts)
        bits = sum(found.bits) / len(texts)
        print(f"D {bits:.3f} bits, confidence gap {gap:+.4f}: {prompt!r}")


if __name__ == "__main__":
    main()
