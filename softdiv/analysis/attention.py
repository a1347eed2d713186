"""Where both models look while they answer: attention to context positions, layer by layer.

Attention says where a model reads, not why it answers as it does (Jain & Wallace 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from softdiv.analysis.embedding import Vectors
from softdiv.errors import PairError
from softdiv.plugin.records import Heatmap


@attrs.frozen(kw_only=True, eq=False)
class AttentionPattern:
    """Shares of attention, mean over heads and over the positions that look."""

    tokens: tuple[str, ...]
    """the P positions looked at"""
    model_1: Vectors
    """``[layers, P]`` in [0, 1]"""
    model_2: Vectors
    """``[layers, P]`` in [0, 1]"""

    @property
    def difference(self) -> Vectors:
        """``[layers, P]``: model_2 minus model_1."""
        found: Vectors = self.model_2 - self.model_1
        return found

    def heatmaps(self) -> tuple[Heatmap, Heatmap, Heatmap]:
        """model_1, model_2 and their difference, layers from the top, in percent of attention."""
        layers = [str(number + 1) for number in range(len(self.model_1))]

        largest = 100 * float(max(self.model_1.max(initial=0), self.model_2.max(initial=0)))

        def heatmap(title: str, shares: Vectors, diverging: bool) -> Heatmap:
            return Heatmap(
                title=title,
                x_label="position looked at",
                y_label="layer",
                x=self.tokens,
                y=layers,
                values=(100 * shares).tolist(),
                unit="% of attention",
                diverging=diverging,
                largest=None if diverging else largest,
            )

        return (
            heatmap("Attention of model_1", self.model_1, False),
            heatmap("Attention of model_2", self.model_2, False),
            heatmap("model_2 minus model_1", self.difference, True),
        )


def attention_pattern(
    attentions_1: Sequence[Any],
    attentions_2: Sequence[Any],
    *,
    queries: slice = slice(None),
    keys: slice = slice(None),
    tokens: Sequence[str] = (),
) -> AttentionPattern:
    """Shares of attention from ``queries`` to ``keys``.

    Args:
        attentions_1: per layer ``[heads, L, L]`` or ``[B, heads, L, L]``, tensors or arrays:
            ``outputs.attentions`` of a transformers model run with ``output_attentions=True``.
        attentions_2: the same of model_2, on the same tokens.
        tokens: names of the ``keys``; by default their numbers.

    Raises:
        PairError: a model gave no attention weights, or the two looked at different inputs.
    """
    shares_1, shares_2 = (
        _shares(attentions, which, queries, keys)
        for which, attentions in (("model_1", attentions_1), ("model_2", attentions_2))
    )
    if shares_1.shape != shares_2.shape:
        raise PairError(
            "the attention of the two models cannot be compared",
            why=f"[layers, positions] is {shares_1.shape} in model_1, {shares_2.shape} in model_2",
            fix="run both models of one architecture on the same tokens",
        )
    names = tuple(tokens) or tuple(str(number) for number in range(shares_1.shape[1]))
    return AttentionPattern(tokens=names, model_1=shares_1, model_2=shares_2)


def mean_pattern(patterns: Sequence[AttentionPattern]) -> AttentionPattern:
    """The mean of patterns over the same tokens (one or more)."""
    return AttentionPattern(
        tokens=patterns[0].tokens,
        model_1=np.mean([pattern.model_1 for pattern in patterns], axis=0),
        model_2=np.mean([pattern.model_2 for pattern in patterns], axis=0),
    )


def _shares(attentions: Sequence[Any], which: str, queries: slice, keys: slice) -> Vectors:
    """``[layers, P]``."""
    layers = [layer for layer in attentions or () if layer is not None]
    if not layers:
        raise PairError(
            f"{which} gave no attention weights",
            why="only the eager kernel returns them",
            fix='load the model with attn_implementation="eager" and run it with '
            "output_attentions=True",
        )
    found = []
    for layer in layers:
        array = layer.detach().float().cpu().numpy() if hasattr(layer, "detach") else layer
        weights = np.asarray(array, dtype=np.float64)[..., queries, keys]
        found.append(weights.reshape(-1, weights.shape[-1]).mean(axis=0))
    return np.stack(found)
