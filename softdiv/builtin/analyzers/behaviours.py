"""Analyzer ``clusters``: kinds of change in behaviour, over all prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
from attrs.validators import ge, optional

from softdiv import Finding, Section
from softdiv.analysis.clusters import Cluster, Clustering, Method, cluster_findings
from softdiv.analysis.selection import by_prompt, shown
from softdiv.builtin.analyzers.meaning import Embedding, _installed, embedder
from softdiv.plugin.records import Scatter, Table

STRUCTURE = ((0.5, "clear"), (0.25, "weak"))
"""silhouette of at least this much (Kaufman & Rousseeuw 1990, table 4)"""


@attrs.frozen(kw_only=True)
class Clusters:
    """Groups of answer pairs in which model_2 departs from model_1 in the same direction."""

    by_text: ClassVar[bool] = True
    method: Method = "kmeans"
    """hdbscan finds the number of clusters itself and leaves outliers in none."""
    n_clusters: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """By default chosen by silhouette."""
    embedding: Embedding = attrs.field(default="tfidf", validator=_installed)
    """tfidf needs no model; sentence-transformers (extra) compares meaning rather than words."""
    seed: int = 0
    """Of k-means and of the bootstrap."""

    def __attrs_post_init__(self) -> None:
        if self.method == "hdbscan" and self.n_clusters is not None:
            raise ValueError("n_clusters: hdbscan finds the number itself; leave it out")

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """Clusters with their terms, stability and most typical answers."""
        made = cluster_findings(
            findings,
            method=self.method,
            n_clusters=self.n_clusters,
            seed=self.seed,
            embed=embedder(self.embedding),
        )
        return clusters_section(made)


def clusters_section(made: Clustering) -> Section:
    """A clustering as a section of the report."""
    return Section(
        title="Behavioural clusters",
        summary=_summary(made),
        tables=(_clusters(made), _typical(made), _prompts(made)),
        scatters=(
            Scatter(
                title="Map of the changes: close points change in the same way",
                x_label="first principal component",
                y_label="second",
                groups={
                    _label(cluster): [
                        (float(made.map[i, 0]), float(made.map[i, 1])) for i in cluster.members
                    ]
                    for cluster in made.clusters
                },
            ),
        ),
    )


def _summary(made: Clustering) -> str:
    count = len(made.findings)
    if made.silhouette is None:
        return f"All {count} answer pairs form one group: there is nothing to tell apart."
    structure = next((word for least, word in STRUCTURE if made.silhouette >= least), "no distinct")
    named = "; ".join(_described(cluster) for cluster in made.clusters[:3])
    chosen = ", number chosen by silhouette" if made.tried else ""
    return (
        f"{count} answer pairs in {len(made.clusters)} groups ({made.method}{chosen}): {named}. "
        f"Mean silhouette {made.silhouette:.2f}: {structure} separation of the whole; the "
        "stability of a group says whether to trust it (0.75 and more: yes)."
    )


def _described(cluster: Cluster) -> str:
    stable = "" if cluster.stability is None else f", stability {cluster.stability:.2f}"
    return f"“{cluster.name}” ({len(cluster.members)} answers{stable})"


def _label(cluster: Cluster) -> str:
    return f"{cluster.label + 1}: {cluster.name}" if cluster.label >= 0 else cluster.name


def _clusters(made: Clustering) -> Table:
    rows: list[tuple[str | float | int | None, ...]] = []
    for cluster in made.clusters:
        group = [made.findings[i] for i in cluster.members]
        bits = sum(f.divergence_bits for f in group) / len(group)
        nats = sum(f.log_likelihood_ratio for f in group) / len(group)
        rows.append((_label(cluster), len(group), cluster.stability, bits, nats))
    return Table(
        title="Groups, named by the words that model_2 adds there",
        columns=("group", "answers", "stability", "mean bits", "log-likelihood ratio, nats"),
        rows=rows,
    )


def _typical(made: Clustering) -> Table:
    rows = []
    for cluster in made.clusters:
        finding = made.findings[cluster.typical]
        said = (finding.response_1, finding.response_2)
        rows.append((_label(cluster), shown(finding.prompt), finding.example.text, *said))
    return Table(
        title="The most typical answers of each",
        columns=("group", "prompt", "user text", "model_1", "model_2"),
        rows=rows,
    )


def _prompts(made: Clustering) -> Table:
    group_of = [
        (finding.prompt, int(label))
        for finding, label in zip(made.findings, made.labels, strict=True)
    ]
    return Table(
        title="Answers of each group by prompt",
        columns=("prompt", *(_label(cluster) for cluster in made.clusters)),
        rows=[
            (shown(prompt), *(group_of.count((prompt, c.label)) for c in made.clusters))
            for prompt in by_prompt(made.findings)
        ],
    )
