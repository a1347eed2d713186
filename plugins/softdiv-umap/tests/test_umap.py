"""A map that separates planted groups, repeats with its seed, and says when it makes no sense."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from softdiv_umap import UmapAnalyzer

from softdiv import Example, Finding, PluginManager, Section
from softdiv.testing import AnalyzerTests

BOATS = ("the boat sails", "a boat leaves", "boats in harbour", "boat on water", "old boat sinks")
EGGS = ("fried eggs, quick", "eggs zzz quick", "quick eggs", "six eggs quick", "quick fix, eggs")


def finding(number: int, first: str, second: str) -> Finding:
    return Finding(
        prompt="p",
        example=Example(id=str(number), text=f"text {number}", category="c"),
        response_1=first,
        response_2=second,
        divergence_bits=0.1,
        log_likelihood_ratio=1.0,
    )


def two_groups() -> list[Finding]:
    answers = [*BOATS, *EGGS] * 2
    return [finding(n, "Let me think.", f"{text} {n}") for n, text in enumerate(answers)]


def points(section: Section) -> np.ndarray:
    (table,) = section.tables
    return np.array([[row[2], row[3]] for row in table.rows], dtype=float)


def test_answers_that_differ_alike_lie_together() -> None:
    layout = points(UmapAnalyzer(neighbors=5)(two_groups()))
    groups = np.array(([0] * 5 + [1] * 5) * 2)
    distances = np.linalg.norm(layout[:, None] - layout[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (groups[distances.argmin(axis=1)] == groups).mean() >= 0.9


def test_the_seed_decides_the_map() -> None:
    first, again = points(UmapAnalyzer()(two_groups())), points(UmapAnalyzer()(two_groups()))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, points(UmapAnalyzer(seed=1)(two_groups())))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_findings_are_an_answer(count: int) -> None:
    section = UmapAnalyzer()(two_groups()[:count])
    assert section.summary == f"Too few findings for a map: {count}, at least 5 needed."
    assert section.tables == ()


def test_five_findings_and_empty_answers_are_enough() -> None:
    texts = [("", "a"), ("b", ""), ("c", "d"), ("", ""), ("same", "same")]
    section = UmapAnalyzer()([finding(n, *both) for n, both in enumerate(texts)])
    assert np.isfinite(points(section)).all()


def test_equal_answers_are_nothing_to_map() -> None:
    section = UmapAnalyzer()([finding(n, "same", "same") for n in range(8)])
    assert section.summary == "All answers are equal: there is nothing to map."


def test_the_curve_runs_from_left_to_right() -> None:
    (curve,) = UmapAnalyzer()(two_groups()).curves
    assert list(curve.x) == sorted(curve.x)
    assert len(curve.x) == len(curve.series["y"]) == 20


def test_umap_is_imported_only_when_called() -> None:
    code = (
        "import sys; from softdiv import PluginManager; "
        "made = PluginManager.load(['umap']).registry.build('analyzers', 'umap', {}); made([]); "
        "sys.exit(bool({'umap', 'sklearn', 'numba'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_declared_it_is_built_with_its_options() -> None:
    registry = PluginManager.load(["umap"]).registry
    made: Sequence[object] = [registry.build("analyzers", "umap", {"seed": 4, "neighbors": 3})]
    assert made == [UmapAnalyzer(seed=4, neighbors=3)]


class TestConformance(AnalyzerTests):
    def make(self) -> object:
        return UmapAnalyzer()
