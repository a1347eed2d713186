"""Built-in plugin: how far apart two answers are in meaning, and how far a model is from itself.

A distance is 1 - cosine of two sentence embeddings (Reimers & Gurevych 2019). Two samples of one
and the same model differ too, so a semantic difference means something only above that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from softdiv import Register, ResponseMetric, ResponsePair, hookimpl

from .embedding import PACKAGED, embed, located

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _available(_: Any, __: Any, model: str) -> None:
    """Checked while the config is read, before any work is lost. Raises ValueError."""
    located(model)


@attrs.frozen(kw_only=True)
class _SemanticMetric:
    level: ClassVar[Literal["response"]] = "response"

    model: str = attrs.field(default=PACKAGED, validator=_available)
    """Folder, hub id, or ``package:NAME/FOLDER`` of a sentence-transformers model."""
    revision: str | None = None
    """Hub revision of ``model`` (branch, tag or commit)."""

    def _embed(self, answers: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """Unit vectors ``[a_i, d]`` of each pair's answers; every distinct text is embedded once.

        An answer without text gets the zero vector, at distance 1 from everything but another one.
        """
        import numpy as np

        texts = sorted({text for group in answers for text in group if text.strip()})
        if not texts:
            return [np.zeros((len(group), 1), dtype=np.float32) for group in answers]
        vectors = embed(texts, self.model, self.revision)
        empty = np.zeros_like(vectors[0])
        table = dict(zip(texts, vectors, strict=True))
        return [np.stack([table.get(text, empty) for text in group]) for group in answers]


@attrs.frozen(kw_only=True)
class SemanticDistance(_SemanticMetric):
    """1 - cosine of the two answers' sentence embeddings: 0 same meaning, about 1 unrelated."""

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """In [0, 2], one per pair."""
        vectors = self._embed([(p.response_1, p.response_2) for p in pairs])
        return [_distance(both[0], both[1]) for both in vectors]


@attrs.frozen(kw_only=True)
class SelfConsistency(_SemanticMetric):
    """How far a model is from itself: distance of two samples in the same context, both models.

    The baseline of ``semantic_distance``. Each answer is sampled a second time (charged to the
    ledger as ``resampling``); at temperature 0 the value is 0.
    """

    resamples: ClassVar[int] = 1

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """In [0, 2]: mean of d(answer, resample) over the two models."""
        vectors = self._embed(_with_resamples(pairs))
        return [(_distance(a[0], a[1]) + _distance(a[2], a[3])) / 2 for a in vectors]


@attrs.frozen(kw_only=True)
class SemanticExcess(_SemanticMetric):
    """Semantic distance between the models beyond each one's distance from itself.

    Mean distance of model_1's two samples from model_2's two, minus ``self_consistency``: the
    energy distance of Szekely & Rizzo (2013), halved, with 1 - cosine as the distance. Unbiased:
    its expectation is half the squared distance of the two models' mean embeddings, so 0 for
    models that answer alike, however varied they are; a single value may be negative.
    """

    resamples: ClassVar[int] = 1

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        """In [-2, 2], one per pair; only the mean over texts says something."""
        values = []
        for a in self._embed(_with_resamples(pairs)):
            across = [_distance(a[i], a[j]) for i in (0, 1) for j in (2, 3)]
            within = (_distance(a[0], a[1]) + _distance(a[2], a[3])) / 2
            values.append(sum(across) / 4 - within)
        return values


def _with_resamples(pairs: Sequence[ResponsePair]) -> list[tuple[str, str, str, str]]:
    """(answer, resample) of model_1, then of model_2. Raises ValueError where one is missing."""
    if any(not (pair.again_1 and pair.again_2) for pair in pairs):
        raise ValueError("the answers were not sampled a second time (again_1, again_2)")
    return [(p.response_1, p.again_1[0], p.response_2, p.again_2[0]) for p in pairs]


def _distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """1 - cosine of unit vectors, exactly 0 for equal ones."""
    if (first == second).all():
        return 0.0
    return min(max(1.0 - float(first @ second), 0.0), 2.0)


@hookimpl
def softdiv_register_metrics(register: Register[ResponseMetric]) -> None:
    """Register the metrics."""
    register("semantic_distance", SemanticDistance)
    register("self_consistency", SelfConsistency)
    register("semantic_excess", SemanticExcess)
