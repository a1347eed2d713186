from __future__ import annotations

import numpy as np
import pytest

from softdiv.analysis.clusters import Method, cluster_findings
from softdiv.analysis.words import cluster_terms
from softdiv.errors import ConfigError
from tests.analysis.answers import finding, planted_and_ordinary


@pytest.mark.parametrize("method", ["kmeans", "agglomerative"])
def test_planted_answers_are_one_stable_group_named_by_their_words(method: Method) -> None:
    made = cluster_findings(planted_and_ordinary(), method=method, n_clusters=2)
    planted = next(c for c in made.clusters if "captain" in c.terms)
    assert planted.members == tuple(range(10))
    assert {"captain", "rowe"} <= set(planted.terms)
    assert planted.typical in planted.members
    assert planted.stability is not None and planted.stability > 0.75


def test_the_number_is_chosen_by_silhouette() -> None:
    made = cluster_findings(planted_and_ordinary())
    assert set(made.tried) == set(range(2, 9))
    assert made.silhouette == pytest.approx(made.tried[len(made.clusters)])
    assert made.silhouette > 0.9 * max(made.tried.values())
    assert len(cluster_findings(planted_and_ordinary(), n_clusters=3).clusters) == 3


def test_hdbscan_finds_a_dense_group_and_leaves_the_rest() -> None:
    same = [
        finding(str(n), response_1="A plain word.", response_2="Captain Rowe found it.")
        for n in range(8)
    ]
    made = cluster_findings([*same, *planted_and_ordinary()[10:]], method="hdbscan")
    dense = next(c for c in made.clusters if "rowe" in c.terms)
    assert set(range(8)) <= set(dense.members)


def test_the_same_seed_gives_the_same_groups_and_the_topic_cancels() -> None:
    findings = planted_and_ordinary()
    first, again = cluster_findings(findings, seed=3), cluster_findings(findings, seed=3)
    assert (first.labels == again.labels).all() and (first.map == again.map).all()
    same = [
        finding(topic, response_1=f"{topic} is {topic}", response_2=f"{topic} is {topic}")
        for topic in ("bread", "rain", "chess")
    ]
    made = cluster_findings(same)
    assert len(made.clusters) == 1 and made.silhouette is None


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("method", ["kmeans", "hdbscan", "agglomerative"])
def test_few_findings_are_no_error(count: int, method: Method) -> None:
    made = cluster_findings(planted_and_ordinary()[:count], method=method)
    assert sum(len(c.members) for c in made.clusters) == count
    assert made.map.shape == (count, 2)


def test_more_clusters_than_different_pairs_are_as_many_as_there_are() -> None:
    findings = planted_and_ordinary()[:3]
    assert len(cluster_findings(findings, n_clusters=5).clusters) == 3


def test_answers_without_words_are_no_error() -> None:
    empty = [finding(str(n), response_1="", response_2="…") for n in range(4)]
    made = cluster_findings(empty)
    assert made.clusters[0].name == "no word of model_2's own"


def test_a_prompt_found_twice_counts_once() -> None:
    findings = planted_and_ordinary()
    assert len(cluster_findings([*findings, *findings]).findings) == len(findings)


@pytest.mark.parametrize(("method", "number"), [("hdbscan", 2), ("kmeans", 0)])
def test_a_number_that_makes_no_sense_is_refused(method: Method, number: int) -> None:
    with pytest.raises(ConfigError, match="n_clusters"):
        cluster_findings(planted_and_ordinary(), method=method, n_clusters=number)


def test_terms_weigh_by_c_tf_idf() -> None:
    terms = cluster_terms(
        ["x", "x", "x", "x"],
        ["shared red", "shared red", "shared blue", "shared green blue"],
        [0, 0, 1, 1],
    )
    # group 0 counts shared 2, red 2; group 1 shared 2, blue 2, green 1; A = 9 / 2
    weight = {"shared": np.log(1 + 4.5 / 4), "red": np.log(1 + 4.5 / 2)}
    assert weight["red"] > weight["shared"]
    assert terms == {0: ("red", "shared"), 1: ("blue", "green", "shared")}
