"""Behavioural clusters: groups of answers that model_2 changes in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
import numpy as np

from softdiv.analysis.embedding import Embed, Vectors, tfidf, unit
from softdiv.analysis.words import cluster_terms
from softdiv.errors import ConfigError
from softdiv.plugin.records import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["kmeans", "hdbscan", "agglomerative"]
Labels: TypeAlias = "NDArray[np.int64]"
NOISE = -1
"""hdbscan's label of what belongs to no cluster"""


@attrs.frozen(kw_only=True)
class Cluster:
    """One group of answer pairs."""

    label: int
    terms: tuple[str, ...]
    """c-TF-IDF terms of what model_2 says more often than model_1 here"""
    members: tuple[int, ...]
    """indices into the findings"""
    typical: int
    """index of the finding nearest the centre"""
    stability: float | None
    """mean Jaccard similarity with its best match over bootstrap resamples (Hennig 2007):
    above 0.75 stable, below 0.5 dissolved; None for hdbscan's noise"""

    @property
    def name(self) -> str:
        """The terms, or what a group without terms is."""
        if self.label == NOISE:
            return "in no cluster"
        return ", ".join(self.terms) or "no word of model_2's own"


@attrs.frozen(kw_only=True, eq=False)
class Clustering:
    """F findings in groups."""

    findings: tuple[Finding, ...]
    """those clustered, one per prompt and user text"""
    labels: Labels
    """``[F]``"""
    clusters: tuple[Cluster, ...]
    """largest first, noise last"""
    silhouette: float | None
    """mean over findings (Rousseeuw 1987); None with fewer than two groups"""
    tried: dict[int, float]
    """number of clusters -> silhouette, where the number was chosen here"""
    map: Vectors
    """``[F, 2]`` first two principal components of the changes"""
    method: Method


def cluster_findings(
    findings: Sequence[Finding],
    *,
    method: Method = "kmeans",
    n_clusters: int | None = None,
    seed: int = 0,
    embed: Embed = tfidf,
    max_clusters: int = 8,
    resamples: int = 20,
) -> Clustering:
    """Cluster answer pairs by the *direction in which model_2's answer departs from model_1's*.

    A pair's vector is embedding(answer 2) - embedding(answer 1), scaled to length 1: what both
    models say alike, the topic above all, cancels out, and equal answers lie at 0.

    Args:
        n_clusters: by default the smallest number whose silhouette is within one standard error
            of the best (the one-standard-error rule of Breiman et al. 1984).
        embed: see :data:`softdiv.analysis.embedding.Embed`.
        max_clusters: the most tried when ``n_clusters`` is not given.
        resamples: bootstrap resamples for the stability of each cluster.

    Raises:
        ConfigError: a number is asked of hdbscan, or fewer than one cluster.
    """
    if n_clusters is not None and n_clusters < 1:
        raise ConfigError(f"n_clusters: must be at least 1, got {n_clusters}")
    if n_clusters is not None and method == "hdbscan":
        raise ConfigError(
            "n_clusters: hdbscan finds the number itself",
            fix="leave n_clusters out, or choose kmeans or agglomerative",
        )
    distinct = _distinct(findings)
    answers_1 = [finding.response_1 for finding in distinct]
    answers_2 = [finding.response_2 for finding in distinct]
    vectors = changes(answers_1, answers_2, embed)
    labels, tried = _labels(vectors, method, n_clusters, seed, max_clusters)
    labels = _by_size(labels)
    terms = cluster_terms(answers_1, answers_2, labels.tolist()) if distinct else {}
    groups = sorted(set(labels.tolist()), key=lambda label: (label == NOISE, label))
    stability = _stability(vectors, labels, method, seed, resamples)
    return Clustering(
        findings=tuple(distinct),
        labels=labels,
        clusters=tuple(
            Cluster(
                label=label,
                terms=terms[label],
                members=tuple(np.flatnonzero(labels == label).tolist()),
                typical=_typical(vectors, labels, label),
                stability=stability.get(label),
            )
            for label in groups
        ),
        silhouette=_silhouette(vectors, labels)[0] if _can_score(labels) else None,
        tried=tried,
        map=_map(vectors),
        method=method,
    )


def changes(answers_1: Sequence[str], answers_2: Sequence[str], embed: Embed = tfidf) -> Vectors:
    """``[F, d]`` unit vectors from answer 1 to answer 2; 0 where the answers are alike."""
    if not answers_1:
        return np.zeros((0, 1))
    first, second = embed(answers_1, answers_2)
    return unit(second - first)


def _distinct(findings: Sequence[Finding]) -> list[Finding]:
    """A prompt that both a searcher and a baseline found is scored once and counts once."""
    return list({(f.prompt, f.example.id): f for f in findings}.values())


def _labels(
    vectors: Vectors, method: Method, wanted: int | None, seed: int, most: int
) -> tuple[Labels, dict[int, float]]:
    different = len(np.unique(vectors.round(9), axis=0)) if len(vectors) else 0
    if different < 2:
        return np.zeros(len(vectors), dtype=np.int64), {}
    if method == "hdbscan":
        return _hdbscan(vectors), {}
    if wanted is not None:
        return _fit(vectors, method, min(wanted, different), seed), {}
    tried: dict[int, tuple[float, float]] = {}
    for number in range(2, min(most, different, len(vectors) - 1) + 1):
        labels = _fit(vectors, method, number, seed)
        if _can_score(labels):
            tried[number] = _silhouette(vectors, labels)
    if not tried:  # two findings that differ: nothing to choose
        return _fit(vectors, method, different, seed), {}
    best, error = max(tried.values())
    number = min(n for n, (value, _) in tried.items() if value >= best - error)
    return _fit(vectors, method, number, seed), {n: value for n, (value, _) in tried.items()}


def _fit(vectors: Vectors, method: Method, number: int, seed: int) -> Labels:
    from sklearn.cluster import AgglomerativeClustering, KMeans

    model: Any = (
        KMeans(number, n_init=10, random_state=seed)
        if method == "kmeans"
        else AgglomerativeClustering(number)
    )
    return np.asarray(model.fit_predict(vectors), dtype=np.int64)


def _hdbscan(vectors: Vectors) -> Labels:
    from sklearn.cluster import HDBSCAN

    smallest = min(max(3, len(vectors) // 20), len(vectors))
    model = HDBSCAN(min_cluster_size=max(smallest, 2), copy=True)
    return np.asarray(model.fit_predict(vectors), dtype=np.int64)


def _silhouette(vectors: Vectors, labels: Labels) -> tuple[float, float]:
    """Mean over findings and its standard error."""
    from sklearn.metrics import silhouette_samples

    values = silhouette_samples(vectors, labels)
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


def _can_score(labels: Labels) -> bool:
    return 2 <= len(set(labels.tolist())) < len(labels)


def _by_size(labels: Labels) -> Labels:
    """Numbered from 0, the largest first, so that numbers do not depend on the method's order."""
    sizes = Counter(labels[labels != NOISE].tolist()).most_common()  # of equals, the first met
    rank = {label: number for number, (label, _) in enumerate(sizes)} | {NOISE: NOISE}
    return np.asarray([rank[label] for label in labels.tolist()], dtype=np.int64)


def _typical(vectors: Vectors, labels: Labels, label: int) -> int:
    members = np.flatnonzero(labels == label)
    centre = vectors[members].mean(axis=0)
    return int(members[np.argmin(np.linalg.norm(vectors[members] - centre, axis=1))])


def _stability(
    vectors: Vectors, labels: Labels, method: Method, seed: int, resamples: int
) -> dict[int, float]:
    """Hennig's clusterboot: recluster resamples, match each cluster with the most similar one."""
    groups = [label for label in sorted(set(labels.tolist())) if label != NOISE]
    if len(groups) < 2 or resamples < 1:
        return {}
    generator = np.random.default_rng(seed)
    number = None if method == "hdbscan" else len(groups)
    found: dict[int, list[float]] = {label: [] for label in groups}
    for _ in range(resamples):
        drawn = np.unique(generator.integers(len(vectors), size=len(vectors)))
        again, _ = _labels(vectors[drawn], method, number, seed, len(groups))
        others = [set(drawn[again == other].tolist()) for other in set(again.tolist()) - {NOISE}]
        for label in groups:
            ours = set(drawn[labels[drawn] == label].tolist())
            if ours:
                shared = [len(ours & other) / len(ours | other) for other in others]
                found[label].append(max(shared, default=0.0))
    return {label: float(np.mean(values)) for label, values in found.items() if values}


def _map(vectors: Vectors) -> Vectors:
    from sklearn.decomposition import PCA

    size = min(2, *vectors.shape, max(len(vectors) - 1, 0))
    if size == 0 or not vectors.any():
        return np.zeros((len(vectors), 2))
    points = PCA(size, svd_solver="full").fit_transform(vectors)
    padded: Vectors = np.pad(points, ((0, 0), (0, 2 - size)))
    return padded
